package model_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/model"
)

func TestBuiltInModelsAreValid(t *testing.T) {
	for _, m := range model.All() {
		require.NoError(t, m.Check())
		require.NoError(t, m.Torn(512).LyingFlush().CollateralDamage(8192).WithBitRot().Check())
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		model model.Model
		want  string
	}{
		{"no name", model.Model{}, `model "": a name has`},
		{"a name that is no part of an id", model.Model{Name: "a:b"}, `model "a:b": a name has`},
		{"a negative tear size", model.Ext4.Torn(-1), "numbers of bytes"},
		{"a negative erase block", model.Ext4.CollateralDamage(-1), "numbers of bytes"},
		{"an unknown order", model.Model{Name: "m", Order: model.Journal + 1}, "no rule"},
		{"an unknown fsync", model.Model{Name: "m", Fsync: model.Earlier + 1}, "no rule"},
		{"an unknown rename", model.Model{Name: "m", Rename: model.Halves + 1}, "no rule"},
		{"a rule of another one", model.Model{Name: "m", FdatasyncNames: true}, "FdatasyncNames is a rule of Earlier"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.ErrorContains(t, tt.model.Check(), tt.want)
		})
	}
}

// A replay id names its model: two that differ must not be called the same.
func TestVariantsHaveTheirNumberInTheName(t *testing.T) {
	require.Equal(t, "ext4+torn512+collateral8192", model.Ext4.Torn(512).CollateralDamage(8192).Name)
	require.NotEqual(t, model.Ext4.Torn(512).Name, model.Ext4.Torn(1024).Name)
	require.Equal(t, "ext4+lying+bitrot", model.Ext4.LyingFlush().WithBitRot().Name)
}
