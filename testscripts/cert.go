package testscripts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// The kinds of certificates that a server may show.
var certKinds = []string{"good", "expired", "no-chain", "self-signed", "wrong-host"}

// An authority is the certificate authority of one script: a root, which go
// and git are told to trust, and an intermediate, which signs for the servers.
type authority struct {
	root, intermediate *signer

	mu     sync.Mutex
	leaves map[string]*tls.Certificate // by kind and host
}

// A signer is a certificate with its key.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	root, err := sign(nil, "gox test root", true, time.Hour)
	if err != nil {
		return nil, err
	}
	intermediate, err := sign(root, "gox test intermediate", true, time.Hour)
	return &authority{root: root, intermediate: intermediate, leaves: map[string]*tls.Certificate{}}, err
}

// pem returns the root for SSL_CERT_FILE.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.cert.Raw})
}

// certificate returns a certificate of a kind for a host, a name or an address.
func (a *authority) certificate(kind, host string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := kind + " " + host
	if c := a.leaves[id]; c != nil {
		return c, nil
	}
	by, name, valid := a.intermediate, host, time.Hour
	switch kind {
	case "self-signed":
		by = nil
	case "wrong-host":
		name = "wrong-host.test"
	case "expired":
		valid = -time.Minute
	}
	leaf, err := sign(by, name, false, valid)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}
	if by != nil && kind != "no-chain" {
		c.Certificate = append(c.Certificate, by.cert.Raw)
	}
	a.leaves[id] = c
	return c, nil
}

// sign makes a certificate for name, signed by by or else by itself.
func sign(by *signer, name string, ca bool, valid time.Duration) (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(valid),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  ca,
	}
	switch ip := net.ParseIP(name); {
	case ca:
		template.KeyUsage = x509.KeyUsageCertSign
	case ip != nil:
		template.IPAddresses = []net.IP{ip}
	default:
		template.DNSNames = []string{name}
	}
	if !ca {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	parent := &signer{template, key}
	if by != nil {
		parent = by
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, key.Public(), parent.key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	return &signer{cert, key}, err
}
