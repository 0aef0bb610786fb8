package cost

import (
	"fmt"
	"io"
	"strings"
)

// WriteTable writes rows as a table in Markdown, grouped by callers. The ratios are
// those to the first row with as many callers.
func WriteTable(w io.Writer, rows []Row) error {
	var b strings.Builder
	b.WriteString("| callers | per create | transactions | flushes of metadata | of the resource | KB to the kernel | KB to the disk | flushes of the disk | all flushes, ratio | time, ratio |\n")
	b.WriteString("|--:|:--|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	bases := map[int]Row{}
	var order []int
	for _, row := range rows {
		if _, ok := bases[row.Callers]; !ok {
			bases[row.Callers] = row
			order = append(order, row.Callers)
		}
	}
	for _, callers := range order {
		for _, row := range rows {
			if row.Callers == callers {
				writeRow(&b, row, bases[callers])
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeRow(b *strings.Builder, row, base Row) {
	fmt.Fprintf(b, "| %d | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", row.Callers, row.Subject,
		number(row.Transactions), number(row.MetadataFlushes), number(row.OtherFlushes),
		number(row.KernelBytes/1000), measured(row.DiskBytes/1000), measured(row.DiskFlushes),
		ratio(row.MetadataFlushes+row.OtherFlushes, base.MetadataFlushes+base.OtherFlushes),
		ratio(row.Seconds, base.Seconds))
}

// number prints x with two significant digits or more.
func number(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 0.1:
		return fmt.Sprintf("%.3f", x)
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

// measured is number for what is 0 only when it was not measured.
func measured(x float64) string {
	if x == 0 {
		return "-"
	}
	return number(x)
}

func ratio(x, base float64) string {
	switch {
	case base == 0:
		return "-"
	case x/base < 9.95:
		return fmt.Sprintf("%.1f", x/base)
	}
	return fmt.Sprintf("%.0f", x/base)
}
