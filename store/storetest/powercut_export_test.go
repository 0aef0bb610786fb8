package storetest

// Durable is the rule of that name, for a test that expects it to fail.
var Durable = durable
