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

// PutRecords returns an Update's function that stores records as they are.
func PutRecords(table string, records []Record) func(*Tx) error {
	return func(tx *Tx) error {
		for _, rec := range records {
			tx.put(recordsPrefix+table, idKey(rec.ID), rec.encode())
			if named(rec) {
				tx.put(namesPrefix+table, rec.Name, []byte(idKey(rec.ID)))
			}
		}
		return nil
	}
}
