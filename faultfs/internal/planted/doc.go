// Package planted holds no code, only tests that say how far faultfs is to be
// trusted: bugs that were planted and that it must find, with correct twins in
// which it must find nothing; databases whose behaviour at a power cut is known;
// and the exact sets of states that a power cut leaves of small programs.
package planted
