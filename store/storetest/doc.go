// Package storetest checks that a store.Backing keeps the rules that its interface
// states. The author of a driver calls Backing from a test:
//
//	func TestConformance(t *testing.T) {
//		storetest.Backing(t, func(t testing.TB) storetest.Harness {
//			dir := t.TempDir()
//			return storetest.Harness{
//				Open: func() (store.Backing, error) { return mydriver.Open(dir) },
//			}
//		})
//	}
//
// Each rule is a subtest, named as in Rules. What only the driver's author can
// provide, such as a device that a crash has left half made, is optional in Harness;
// a rule that needs it is skipped, with that reason in the log, where it is missing.
//
// Whether the effect of a call is durable when it returns is the last rule, called
// "durable". A killed process says nothing about that, since the kernel keeps what it
// wrote. So the kit simulates power cuts, with package faultfs: it records the file
// operations of a driver that keeps its resources in a directory (Harness.In), and
// looks at what the driver finds in the states that a power cut can leave. Of a driver
// whose resources are no files it cannot tell, and says so.
package storetest
