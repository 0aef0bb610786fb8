package faultfs

// Test is a program, what comes before it, and what must hold after a power cut at
// any moment of it. Work and Verify are needed.
//
// Setup and Work run in one process of their own, a copy of the test binary that
// runs the same test function up to the call of [Run]; Recover and Verify run in
// others. So what the test function does before Run happens in each of these
// processes, and variables do not travel between Work and Verify: files, and marks
// ([W.Begin], [W.Ack]), do.
type Test struct {
	// Setup makes what is there, and durable, when Work begins. It is not
	// recorded. Optional: Work then begins in an empty directory.
	Setup func(dir string) error

	// Work is what is recorded. The error that it returns fails a [Run]; in a
	// [Sweep] it is how an injected fault surfaces.
	Work func(w *W) error

	// Recover is what the program does first after a crash: opening its store,
	// say. It runs before each Verify, in the same directory. With [Nested] it is
	// recorded as well, and cut off in its turn. Optional.
	Recover func(dir string) error

	// Verify looks at what a power cut left, after Recover, and returns what is
	// wrong with it. It may change s.Dir. A panic, an exit and a hang are
	// violations too. A good Verify has three parts: nothing acknowledged is
	// lost, nothing unacknowledged is half there, and the next operation works.
	Verify func(s *State) error
}
