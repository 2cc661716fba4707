// Checks a log of ours with Go's checksum database code: the signed note, the root from our tiles, inclusion of one
// record and consistency with an older checkpoint, each with Go's own proof and with ours.
//
// usage: sumdb DIRECTORY VERIFIER-KEY OLD-CHECKPOINT RECORD-FILE INDEX INCLUSION-FILE CONSISTENCY-FILE
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type tiles struct{ directory string }

func (t tiles) Height() int { return 8 }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.directory, path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	return value
}

func check(err error) { must(0, err) }

func checkpoint(path string, key note.Verifier) tlog.Tree {
	opened := must(note.Open(must(os.ReadFile(path)), note.VerifierList(key)))
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() {
		check(fmt.Errorf("not three lines of %s", key.Name()))
	}
	return tlog.Tree{N: must(strconv.ParseInt(lines[1], 10, 64)), Hash: must(tlog.ParseHash(lines[2]))}
}

func hashes(path string) []tlog.Hash {
	var found []tlog.Hash
	for _, line := range strings.Fields(string(must(os.ReadFile(path)))) {
		var hash tlog.Hash
		copy(hash[:], must(base64.StdEncoding.DecodeString(line)))
		found = append(found, hash)
	}
	return found
}

func main() {
	directory, old := os.Args[1], os.Args[3]
	key := must(note.NewVerifier(os.Args[2]))
	tree := checkpoint(filepath.Join(directory, "checkpoint"), key)
	reader := tlog.TileHashReader(tree, tiles{directory})
	if must(tlog.TreeHash(tree.N, reader)) != tree.Hash {
		check(fmt.Errorf("the root of the tiles is another one"))
	}
	index := must(strconv.ParseInt(os.Args[5], 10, 64))
	record := tlog.RecordHash(must(os.ReadFile(os.Args[4])))
	check(tlog.CheckRecord(must(tlog.ProveRecord(tree.N, index, reader)), tree.N, tree.Hash, index, record))
	check(tlog.CheckRecord(tlog.RecordProof(hashes(os.Args[6])), tree.N, tree.Hash, index, record))
	before := checkpoint(old, key)
	check(tlog.CheckTree(must(tlog.ProveTree(tree.N, before.N, reader)), tree.N, tree.Hash, before.N, before.Hash))
	check(tlog.CheckTree(tlog.TreeProof(hashes(os.Args[7])), tree.N, tree.Hash, before.N, before.Hash))
	fmt.Println("accepted", before.N, tree.N)
}
