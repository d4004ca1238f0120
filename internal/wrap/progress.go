package wrap

import (
	"fmt"
	"io"
	"time"

	"example.com/gox/internal/gocmd"
)

// A meter shows the progress of a download on one line of a terminal.
type meter struct {
	w     io.Writer
	now   func() time.Time
	began time.Time
	last  gocmd.Progress
	drawn bool
}

// show draws one report.
func (m *meter) show(p gocmd.Progress) {
	if p.Phase != m.last.Phase || p.Version != m.last.Version {
		m.began = m.now()
	}
	m.last = p
	if p.Phase == gocmd.Done {
		m.clear()
		return
	}
	fmt.Fprintf(m.w, "\r\x1b[K%s", m.line(p))
	m.drawn = true
}

// line is what a report looks like. How many bytes there will be is an
// estimate, and so is the time left.
func (m *meter) line(p gocmd.Progress) string {
	line := p.Phase.String()
	if p.Version != "" {
		line = p.Version + ": " + line
	}
	if p.Phase != gocmd.Downloading || p.Bytes == 0 {
		return line
	}
	line += " " + Size(p.Bytes)
	if p.About <= p.Bytes {
		return line
	}
	line += " of about " + Size(p.About)
	if elapsed := m.now().Sub(m.began); elapsed > time.Second/2 {
		left := time.Duration(float64(elapsed) * float64(p.About-p.Bytes) / float64(p.Bytes))
		line += fmt.Sprintf(", about %v left", max(left.Round(time.Second), time.Second))
	}
	return line
}

// clear takes the line off the screen.
func (m *meter) clear() {
	if m.drawn {
		fmt.Fprint(m.w, "\r\x1b[K")
		m.drawn = false
	}
}
