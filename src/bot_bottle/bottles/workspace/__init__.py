"""The workspace of a bottle, from the look at the source to the changes that a person applies (D04, D05, D07, D13).

What other rooms call, in the order of a run:

    facts.inspect_source(path, keep, home, runtime_dir) -> SourceFacts      read-only; .workspace(mode) for the plan
    toolchains.find(path_variable, home) -> tuple[Toolchain, ...]            for `init`: read-only mounts, masked
    mounts.check_mounts(mounts, ...) -> None                                 refuses mounts that weaken a bottle (B61)
    skills.digest_of(source), skills.copy_skills(plan, state) -> tuple[Mount, ...]
    caches.prepare_caches(home, bottle, names) -> tuple[Mount, ...] + environment
    prepare.prepare(plan, state_dir) -> Prepared                             .layout(home, authority), .extend(plan)
    prepare.load(state_dir) -> Prepared                                      later, from another process
    changes.collect(prepared, run_sealed) -> Changes                         after the bottle is dead
    review.review(changes) -> Review                                         pure: what needs a look of its own
    choice.choose(prepared, changes, ...) -> Choice                          interactive or headless end of a run
    apply.apply(prepared, changes, ...) | keep.keep(...) | discard.discard(prepared)

State of one label lies in <home>/state/<label>/: workspace.json, tree/ or cow/, base/, start.marks, source.marks,
changes/ (repo.git, changes.json, changes.patch). Nothing of it lies in the workspace.
"""
