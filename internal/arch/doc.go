// Package arch holds the rules that the shape of this project follows, as tests:
// which package may import which, what an importer of the library links, how long
// files and functions may be, that every exported name is documented, and that no
// large file is tracked.
//
// Each rule is a function from a source tree to violations. It is run on the
// project, and on small trees with one planted violation each, so that a rule that
// can no longer fail is noticed. The trees are read as source, not through the go
// command: files for other systems are under the rules too.
package arch
