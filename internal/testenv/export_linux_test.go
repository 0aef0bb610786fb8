package testenv

// Unmount is what the cleanups do.
var Unmount = unmount
