// Package sqlitetest holds no code, only tests: what faultfs finds in SQLite, whose
// behaviour at a power cut is documented, is a control of faultfs itself. It is a
// module of its own, so that nobody else depends on SQLite.
package sqlitetest
