package source

import "slices"

// A Rule is a rule of go's that decided, in a sentence.
type Rule struct {
	Text  string `json:"text"`
	Since string `json:"since,omitempty"` // the first go that has it; "" from 1.18 on, as all that gox knows
	Until string `json:"until,omitempty"` // the last one
	Claim string `json:"claim"`           // the claim that proves it: gox script CLAIM
}

// ruleOf returns the rule that a claim proves, nil where no rule has it.
func ruleOf(claim string) *Rule {
	if i := slices.IndexFunc(known, func(r Rule) bool { return r.Claim == claim }); i >= 0 {
		return &known[i]
	}
	return nil
}

// by adds the rules that claims prove, each once. "" is no claim.
func (m *Module) by(claims ...string) {
	for _, claim := range claims {
		if r := ruleOf(claim); r != nil && !slices.Contains(m.Rules, *r) {
			m.Rules = append(m.Rules, *r)
		}
	}
}

// Rules returns all that List may cite.
func Rules() []Rule { return slices.Clone(known) }

// known are the rules that List cites. A test holds them against the claims.
var known = []Rule{
	{Claim: "order-workspace", Text: "In a workspace the first of these that has the module supplies it: use, a replace in go.work, a replace in go.mod, the module cache, the proxies in their order, its repository."},
	{Claim: "order-module", Text: "In module mode the first of these that has the module supplies it: a replace in go.mod, the module cache, the proxies in their order, its repository."},

	{Claim: "work-use-first", Text: "A module that go.work uses is read from its directory, at whatever version it is required; no module cache and no proxy is asked for its source."},
	{Claim: "work-use-over-mod-replace", Text: "A use in go.work wins over a replace in the go.mod of a workspace module."},
	{Claim: "work-use-over-mod-replace-ver", Text: "A use in go.work wins over a replace in the go.mod of a workspace module, also over one of the very version that is required."},
	{Claim: "work-use-and-workreplace-ver", Text: "A use in go.work wins over a replace of one version in go.work."},
	{Claim: "work-vendor-used-module", Since: "1.22", Text: "Where a workspace is vendored, the modules that go.work uses are still read from their directories."},

	{Claim: "work-replace-over-mod", Text: "A replace in go.work overrides a replace of the same module in a workspace module's go.mod."},
	{Claim: "work-wild-over-mod-ver", Text: "A replace of all versions in go.work beats a replace of one version in go.mod."},
	{Claim: "work-ver-over-mod-wild", Text: "A replace of one version in go.work beats a replace of all versions in go.mod."},
	{Claim: "work-module-over-mod-dir", Text: "A replace by another module in go.work, which has to be fetched, beats a replace by a directory in go.mod."},
	{Claim: "work-ver-over-wild", Text: "In go.work a replace of one version beats a replace of all versions."},
	{Claim: "mod-ver-over-wild", Text: "In one go.mod a replace of one version beats a replace of all versions."},
	{Claim: "work-member-replace-counts", Text: "A replace in the go.mod of one workspace module counts for the whole workspace."},
	{Claim: "work-conflict-other-ver", Text: "A replace in go.work for another version hides a conflict between the replaces of two workspace modules, and one of them is used."},
	{Claim: "replace-dir-over-cache", Text: "A replace by a directory beats the same version in the module cache."},
	{Claim: "replace-dir-no-net", Text: "A replace by a directory needs no network, no go.sum entry, and not even an existing version."},
	{Claim: "replace-module", Text: "A replace by another module is fetched under the new path and version, and GOPRIVATE and GOSUMDB apply to the new path."},

	{Claim: "replace-dir-needs-gomod", Text: "A directory that replaces a module needs a go.mod."},
	{Claim: "missing-gosum", Text: "A build with a missing go.sum entry fails; it does not add it."},

	{Claim: "vendor-auto", Text: "vendor/ is used without -mod where go.mod says go 1.14 or more."},
	{Claim: "vendor-over-cache", Text: "vendor/ wins over the module cache and the proxies."},
	{Claim: "vendor-over-replace", Text: "vendor/ wins over the directory that a replace in go.mod names."},
	{Claim: "vendor-replace-module", Text: "What another module replaces is vendored under the old path, from the new one."},
	{Claim: "vendor-mod-readonly", Text: "-mod=readonly and -mod=mod make go ignore vendor/."},
	{Claim: "work-vendor-auto", Since: "1.22", Text: "A vendor directory beside go.work, made by go work vendor, is used without a flag."},
	{Claim: "order-work-vendor-cache", Since: "1.22", Text: "A workspace's vendor directory wins over the module cache."},
	{Claim: "work-vendor-replaced-dir", Since: "1.22", Text: "Where a workspace is vendored, go reads the copy and not the directory that a replace names."},
	{Claim: "work-module-vendor-ignored", Until: "1.19", Text: "The vendor directory of a module that go.work lists alone is used in workspace mode."},
	{Claim: "order-member-vendor-work-replace", Until: "1.19", Text: "The vendor directory of the only module in go.work wins over a replace in go.work, without a word."},

	{Claim: "cache-over-proxy", Text: "A version that the module cache has is taken from there, and no proxy is asked."},
	{Claim: "cache-unpack-anew", Text: "A module whose directory is gone from the module cache is unpacked anew from the cached zip, without a request."},
	{Claim: "cache-without-zip", Text: "A module whose zip is gone from the module cache is used as long as its directory is there."},
	{Claim: "order-cache-forgets", Text: "The module cache does not remember which source filled it: what is in it need not come from whom GOPROXY names now."},

	{Claim: "comma-404", Text: "After a comma go asks the next entry of GOPROXY where the one before answers 404 or 410."},
	{Claim: "comma-503", Text: "Any other failure before a comma ends the walk: go does not ask the next entry."},
	{Claim: "pipe-any", Text: "After a | go asks the next entry of GOPROXY whatever goes wrong with the one before."},
	{Claim: "off-uses-cache", Text: "With GOPROXY=off go uses the module cache only, and no network."},
	{Claim: "vendor-auto-113", Text: "Where go.mod says go 1.13 or less, vendor/ is not used without -mod=vendor."},
	{Claim: "vendor-auto-nogo", Text: "Where go.mod has no go line, vendor/ is not used without -mod=vendor."},
	{Claim: "work-vendor-in-module-mode", Since: "1.22", Text: "A vendor directory made by go work vendor is not used without a flag in module mode."},
	{Claim: "work-vendor-auto-header", Text: "Without the line \"## workspace\" in its modules.txt a vendor directory beside go.work is not used without a flag."},
	{Claim: "work-vendor-readonly", Since: "1.22", Text: "-mod=readonly makes go ignore the workspace's vendor directory."},

	{Claim: "order-private-proxy", Text: "Where GOPRIVATE matches, the module's repository is asked and none of the proxies in GOPROXY."},
	{Claim: "noproxy-glob", Text: "What GONOPROXY matches comes from the module's repository."},
	{Claim: "noproxy-falls-back", Text: "Where that repository fails, go asks no proxy instead."},
}
