package store

import (
	"encoding/binary"
	"hash/crc32"
)

// Every stored value is its checksum (CRC-32C, 4 bytes, big endian) and then the
// bytes of the caller. The checksum covers the lengths and bytes of bucket and key
// as well, so a value that turns up under another key is found out. Keeps (9).
const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(bucket, key string, value []byte) uint32 {
	head := make([]byte, 0, 2*binary.MaxVarintLen64+len(bucket)+len(key))
	head = binary.AppendUvarint(head, uint64(len(bucket)))
	head = append(head, bucket...)
	head = binary.AppendUvarint(head, uint64(len(key)))
	head = append(head, key...)
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, value)
}

// seal returns the stored form of value. The result shares no memory with it.
func seal(bucket, key string, value []byte) []byte {
	stored := make([]byte, sumSize, sumSize+len(value))
	binary.BigEndian.PutUint32(stored, checksum(bucket, key, value))
	return append(stored, value...)
}

// unseal returns the value within stored, sharing its memory, or a CorruptError.
func unseal(bucket, key string, stored []byte) ([]byte, error) {
	if len(stored) < sumSize {
		return nil, &CorruptError{bucket, []byte(key), "shorter than its checksum"}
	}
	value := stored[sumSize:]
	if binary.BigEndian.Uint32(stored) != checksum(bucket, key, value) {
		return nil, &CorruptError{bucket, []byte(key), "checksum mismatch"}
	}
	return value, nil
}
