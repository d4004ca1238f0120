package zone

import (
	"testing"
	"time"
)

func TestRestore(t *testing.T) {
	zone := time.Local
	if zone != time.UTC {
		t.Errorf("the zone is %v before Restore", zone)
	}
	if Restore(); time.Local == time.UTC || time.Local != local {
		t.Errorf("the zone is %v after Restore", time.Local)
	}
}
