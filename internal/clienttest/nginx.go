package clienttest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// nginxConfig is one process with one server, and with its files in its own directory (nginx.org/en/docs/ngx_core_module.html).
const nginxConfig = `daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr warn;
events {}
http {
    access_log off;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
    server {
        listen 127.0.0.1:%[2]d;
        location = /nginx-is-up { return 200; }
%[3]s
    }
}
`

// Nginx starts nginx with a server of these directives and gives its address, without a slash at the end. It ends with the test.
func Nginx(t *testing.T, directives string) string {
	t.Helper()
	dir := t.TempDir()
	program := nginxProgram(t)
	config := filepath.Join(dir, "nginx.conf")
	var out bytes.Buffer
	// Another process may take the port that was free a moment ago.
	for range 3 {
		port := freePort(t)
		if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, port, directives), 0o644); err != nil {
			t.Fatal(err)
		}
		out.Reset()
		cmd := exec.Command(program, "-p", dir, "-c", config)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait() // killed, or the address is in use: seen below
		}()
		stop := func() {
			_ = cmd.Process.Kill() // it may have ended
			<-ended
		}
		t.Cleanup(stop)
		url := fmt.Sprintf("http://127.0.0.1:%d", port)
		if answers(t, url+"/nginx-is-up", ended) {
			return url
		}
		stop()
	}
	t.Fatalf("nginx does not start: %s", out.String())
	return ""
}

// nginxProgram finds nginx, which Debian keeps off the PATH of ordinary users.
func nginxProgram(t *testing.T) string {
	t.Helper()
	long(t)
	if at := "/usr/sbin/nginx"; executable(at) {
		return at
	}
	return Program(t, "nginx")
}
