package wire_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/tree/wire"
)

func TestReader(t *testing.T) {
	p := binary.AppendUvarint(nil, math.MaxUint64)
	p = binary.AppendVarint(p, math.MinInt64)
	p = append(wire.AppendString(wire.AppendString(p, "text"), []byte{}), 7)
	p = append(p, "raw"...)
	r := wire.NewReader(p)
	require.Equal(t, uint64(math.MaxUint64), r.Uvarint())
	require.Equal(t, int64(math.MinInt64), r.Varint())
	require.Equal(t, "text", r.String())
	require.Nil(t, r.Bytes())
	require.Equal(t, byte(7), r.Byte())
	require.Equal(t, 3, r.Len())
	require.Equal(t, "raw", string(r.Raw(3)))
	require.NoError(t, r.Err())
	require.Zero(t, r.Byte())
	require.ErrorIs(t, r.Err(), wire.ErrDamaged)
}

func TestReaderFails(t *testing.T) {
	for name, read := range map[string]func(r *wire.Reader){
		"a number without an end": func(r *wire.Reader) { r.Raw(1); r.Uvarint() },
		"a signed one":            func(r *wire.Reader) { r.Raw(1); r.Varint() },
		"a number above a limit":  func(r *wire.Reader) { r.Number(3) },
		"more items than bytes":   func(r *wire.Reader) { r.Count(1) },
		"more bytes than there":   func(r *wire.Reader) { r.Raw(3) },
		"less than none":          func(r *wire.Reader) { r.Raw(-1) },
		"a string too long":       func(r *wire.Reader) { _ = r.String() },
		"on its caller's word":    func(r *wire.Reader) { r.Fail("%d", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			r := wire.NewReader([]byte{4, 0x80})
			read(r)
			require.ErrorIs(t, r.Err(), wire.ErrDamaged)
			first := r.Err()
			require.Zero(t, r.Len())
			require.Zero(t, r.Uvarint())
			require.Nil(t, r.Raw(1))
			require.Zero(t, r.Count(1))
			require.Equal(t, first, r.Err(), "the first failure stays")
		})
	}
}
