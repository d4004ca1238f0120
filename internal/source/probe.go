package source

// An Answer is what an upstream said of a module.
type Answer struct {
	Upstream string `json:"upstream"`
}

func (a Answer) String() string { return a.Upstream }
