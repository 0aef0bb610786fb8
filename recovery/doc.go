// Package recovery is what runs when something went wrong. Open is store.Open and
// the settling of everything that a crash left of the device tables; Scrub retries
// what could not be settled then and gives faulty ids a way out. Both return a
// Report, which is data.
//
// Nothing is destroyed on doubt: what a backing or an owner cannot tell now is kept
// and reported. Recovery may itself be cut off at any point and run again.
package recovery
