package iocount

// Disk is what a block device has been given.
type Disk struct {
	Bytes   int64 // written
	Flushes int   // of its cache: what makes a medium slow
}

// Sub returns what d has more than base.
func (d Disk) Sub(base Disk) Disk { return Disk{d.Bytes - base.Bytes, d.Flushes - base.Flushes} }
