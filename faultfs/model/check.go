package model

import (
	"fmt"
	"strings"
)

// Check returns what is wrong with m: a name that no replay id can hold, or a
// number or rule that does not exist.
func (m Model) Check() error {
	if m.Name == "" || strings.Trim(m.Name, "abcdefghijklmnopqrstuvwxyz0123456789-+") != "" {
		return fmt.Errorf("model %q: a name has lower-case letters, digits, '-' and '+'", m.Name)
	}
	if m.Tear < 0 || m.Collateral < 0 {
		return fmt.Errorf("model %s: Tear and Collateral are numbers of bytes", m.Name)
	}
	if m.Order > Journal || m.Fsync > Earlier || m.Rename > Halves {
		return fmt.Errorf("model %s: Order, Fsync or Rename is no rule of package model", m.Name)
	}
	if m.FdatasyncNames && m.Fsync != Earlier {
		return fmt.Errorf("model %s: FdatasyncNames is a rule of Earlier", m.Name)
	}
	return nil
}
