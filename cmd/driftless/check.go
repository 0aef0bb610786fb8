package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/driftlesskv/driftless/store"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check DIR",
		Short: "Compare a store with itself and print what is wrong",
		Long: "Check reads the whole store in DIR: the pages of its file, the checksum of every\n" +
			"value, and the device tables with their names, parents and stamps. It prints one\n" +
			"line for each violation, with the number of the invariant, and a summary.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withStore(c.Context(), args[0], func(db *store.DB) error { return check(c, db) })
		},
	}
}

func check(c *cobra.Command, db *store.DB) error {
	report, err := db.Check(c.Context())
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	for _, violation := range report.Violations {
		if _, err := fmt.Fprintln(out, violation); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "values: %d, devices: %d, violations: %d\n", report.Values, report.Devices, len(report.Violations))
	if err == nil && len(report.Violations) > 0 {
		return fmt.Errorf("check %s: %w", c.Flags().Arg(0), errFound)
	}
	return err
}
