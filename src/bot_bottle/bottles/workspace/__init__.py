"""The workspace of a bottle, from the look at the source to the changes that a person applies (D04, D05, D07, D13).

What other rooms call, in the order of a run:

    facts.inspect_source(path, keep, home, runtime_dir) -> SourceFacts   read-only; .workspace(mode) for the plan
    prepare.prepare(plan, state_dir) -> Prepared      workspace, skills, caches; .layout(...), .extend(plan)
    prepare.load(state_dir) -> Prepared               later, from another process
    changes.collect(prepared, run_sealed) -> Changes  after the bottle is dead
    choice.conclude(prepared, changes, wish, confirm, say) -> Concluded   the end of a run
    choice.lines(changes)                             what a person is shown
    review.review(changes) -> Review                  pure: what needs a look of its own
    apply.apply, keep.keep, discard.discard           one by one, for the verbs

State of one label lies in <home>/state/<label>/: workspace.json, tree/ or cow/, base/, start.marks, source.marks,
changes/ (repo.git, changes.json, changes.patch). Nothing of it lies in the workspace.
"""
