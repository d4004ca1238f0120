package source

type Alarm struct{}
type Answer struct{}
type record struct{}

func readRecords([]string) ([]record, error) { return nil, nil }
func (r *Report) heed([]record)              {}
