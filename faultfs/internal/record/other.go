//go:build !linux || !(amd64 || arm64)

package record

import (
	"context"
	"os/exec"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// Session is a program that runs under a recorder. There is none here.
type Session struct{}

// Supported returns an *UnsupportedError.
func Supported() error { return &UnsupportedError{Need: "Linux 5.19 on amd64 or arm64"} }

// Start returns an *UnsupportedError.
func Start(*exec.Cmd, Options) (*Session, error) { return nil, Supported() }

// Next returns an *UnsupportedError.
func (s *Session) Next(context.Context) (*trace.Trace, error) { return nil, Supported() }

// Wait returns an *UnsupportedError.
func (s *Session) Wait() error { return Supported() }

// Kill does nothing.
func (s *Session) Kill() {}

// Join returns an *UnsupportedError.
func Join() error { return Supported() }

// Begin returns ErrNotRecorded.
func Begin(string) error { return ErrNotRecorded }

// End returns ErrNotRecorded.
func End() error { return ErrNotRecorded }

// Mark returns ErrNotRecorded.
func Mark(bool, string, []byte) error { return ErrNotRecorded }
