package store

// What tests of the on-disk format need of the inside.
var (
	Seal         = seal
	DecodeRecord = decodeRecord
	EncodeRecord = (*Record).encode
)

// An IDSet is the set of free ids.
type IDSet struct{ s idSet }

func (s *IDSet) Add(first, last DeviceID)            { s.s.add(first, last) }
func (s *IDSet) Remove(id DeviceID) bool             { return s.s.remove(id) }
func (s *IDSet) Has(id DeviceID) bool                { return s.s.has(id) }
func (s *IDSet) Next(from DeviceID) (DeviceID, bool) { return s.s.next(from) }
func (s *IDSet) Ranges() int                         { return s.s.ranges.Len() }
