package registry

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// credentials are what a registry is asked with. The zero value is none.
type credentials struct {
	// header is the product's own header for a token, "" for Authorization: Bearer.
	header string
	token  string
	login  login
	// from is where the login came from, for the calls that are shown.
	from source
	// aws signs requests instead. pat says that the password is a token.
	aws *signer
	pat bool
}

type source int

const (
	fromEnv source = iota
	fromNetrc
	fromURL
)

// Names of the variables that hold credentials.
const (
	envToken    = "RAPSHEET_REGISTRY_TOKEN"
	envUser     = "RAPSHEET_REGISTRY_USER"
	envPassword = "RAPSHEET_REGISTRY_PASSWORD"
)

// findCredentials takes those of the environment, else of the URL, else of netrc.
func findCredentials(u *url.URL, opt Options) (credentials, error) {
	getenv := opt.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	if t := getenv(envToken); t != "" {
		return credentials{token: t}, nil
	}
	if user, password := getenv(envUser), getenv(envPassword); user != "" || password != "" {
		return credentials{login: login{user, password}}, nil
	}
	if u.User != nil {
		password, _ := u.User.Password()
		return credentials{login: login{u.User.Username(), password}, from: fromURL}, nil
	}
	path := opt.Netrc
	if path == "" {
		path = netrcPath(getenv)
	}
	if path == "" {
		return credentials{}, nil
	}
	l, ok, err := netrcFile(path, u.Hostname())
	if err != nil || !ok {
		return credentials{}, err
	}
	return credentials{login: l, from: fromNetrc}, nil
}

// authorize puts the credentials on a request that goes to the registry itself.
func (c credentials) authorize(req *http.Request, body string) {
	switch {
	case c.aws != nil:
		c.aws.sign(req, body)
	case c.token != "" && c.header != "":
		req.Header.Set(c.header, c.token)
	case c.token != "":
		req.Header.Set("Authorization", "Bearer "+c.token)
	case c.login != login{}:
		req.SetBasicAuth(c.login.user, c.login.password)
	}
}

// in reports whether a secret is in text.
func (c credentials) in(text string) bool {
	secrets := []string{c.token, c.login.password}
	if c.login.password != "" {
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(c.login.user+":"+c.login.password)))
	}
	if c.aws != nil {
		secrets = append(secrets, c.aws.secret, c.aws.session)
	}
	for _, secret := range secrets {
		if secret != "" && (strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret))) {
			return true
		}
	}
	return false
}

// curlDelete writes the call that deletes u as a person would type it; credentials are references to variables or to netrc.
func (c credentials) curlDelete(u *url.URL) string {
	var b strings.Builder
	b.WriteString("curl --fail -X DELETE")
	switch {
	case c.pat:
		b.WriteString(` -u ":$` + envToken + `"`)
	case c.token != "" && c.header != "":
		b.WriteString(` -H "` + c.header + `: $` + envToken + `"`)
	case c.token != "":
		b.WriteString(` -H "Authorization: Bearer $` + envToken + `"`)
	case c.from == fromNetrc && c.login != login{}:
		b.WriteString(" --netrc")
	case c.login != login{}:
		b.WriteString(` -u "$` + envUser + `:$` + envPassword + `"`)
	}
	bare := *u
	bare.User = nil
	b.WriteString(" " + shellQuote(bare.String()))
	return b.String()
}
