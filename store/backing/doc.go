// Package backing holds backings for store.Devices: Dir keeps each device in a
// directory of its own, Memory keeps them in memory and does what a test scripts.
package backing
