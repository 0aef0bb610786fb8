package iocount

// What the tests of the parsers need of the inside.
var (
	ParseDisk = parseDisk
	ReadTrace = Counts.read
)
