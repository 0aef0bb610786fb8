package filter

// Instruction is one instruction of the kernel's classic BPF, laid out as struct
// sock_filter.
type Instruction struct {
	Code   uint16
	JT, JF uint8
	K      uint32
}

// The instructions that filters are made of.
const (
	Load   = 0x20 // A = the 32-bit word at K of struct seccomp_data
	Equal  = 0x15 // jump by JT if A == K, else by JF
	Set    = 0x45 // jump by JT if A & K != 0, else by JF
	Return = 0x06 // return K
)

// Offsets in struct seccomp_data. Both architectures are little-endian: the low
// half of an argument comes first.
const (
	dataNr   = 0
	dataArch = 4
	dataArgs = 16
)

// What a filter returns.
const (
	Allow  = 0x7fff0000
	Notify = 0x7fc00000
	Nosys  = 0x00050000 | 38 // SECCOMP_RET_ERRNO with ENOSYS
)

const x32Bit = 0x40000000

// Program assembles the filter for the architecture. Calls of other architectures
// that the kernel also serves (32-bit ones, x32) fail with ENOSYS: they would
// reach files unseen.
func (t Table) Program() []Instruction {
	prog := []Instruction{
		{Load, 0, 0, dataArch},
		{Equal, 1, 0, t.Arch},
		{Return, 0, 0, Nosys},
		{Load, 0, 0, dataNr},
		{Set, 0, 1, x32Bit},
		{Return, 0, 0, Nosys},
	}
	for _, r := range rules() {
		nr, found := t.Calls[r.call]
		if !found {
			continue
		}
		body := r.assemble()
		prog = append(prog, Instruction{Equal, 0, uint8(len(body)), nr})
		prog = append(prog, body...)
	}
	return append(prog, Instruction{Return, 0, 0, Allow})
}

// assemble returns what follows when the number has matched. It always returns,
// so that it may overwrite A.
func (r rule) assemble() []Instruction {
	var body []Instruction
	for _, c := range r.conds {
		body = append(body, c.assemble()...)
	}
	if r.do == refuse {
		return append(body, Instruction{Return, 0, 0, Nosys})
	}
	return append(body, Instruction{Return, 0, 0, Notify})
}

// assemble falls through if the condition holds, and allows the call otherwise.
func (c cond) assemble() []Instruction {
	body := []Instruction{{Load, 0, 0, dataArgs + 8*uint32(c.arg)}}
	allow := Instruction{Return, 0, 0, Allow}
	switch {
	case c.set != 0:
		body = append(body, Instruction{Set, 1, 0, c.set}, allow)
	case c.clear != 0:
		body = append(body, Instruction{Set, 0, 1, c.clear}, allow)
	default:
		for i, k := range c.oneOf {
			body = append(body, Instruction{Equal, uint8(len(c.oneOf) - i), 0, k})
		}
		body = append(body, allow)
	}
	return body
}
