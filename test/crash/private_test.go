package crash

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/test/rig"
)

// TestPayloadsStayInside sends arguments, and gets results, that nobody else
// may see, in every way that a call can end, and looks for them in the clear:
// in all files, in what the gateway says on its outputs, in metrics, and in an
// export.
func TestPayloadsStayInside(t *testing.T) {
	const sent, came = "8675309008675309", "xyzzy-plugh-4711"
	binary, dir := build(t), t.TempDir()
	answer := `"result":{"content":[{"type":"text","text":"` + came + `"}]}`
	inner := newEffects()
	url, stop := rig.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte(`"tools/call"`)) {
			id := bytes.TrimPrefix(bytes.SplitN(body[bytes.Index(body, []byte(`"id":`)):], []byte(","), 2)[0], []byte(`"id":`))
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, id, answer)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(stop)
	configure(t, dir, url)
	policy := filepath.Join(dir, "policy", "all.cedar")
	rules := `permit(principal, action, resource);
@because("too much") forbid(principal, action == Action::"act/tool:act", resource) when { context.input has n && context.input.n > 9000000000000000 };
@ask("finance") forbid(principal, action == Action::"act/tool:act", resource) when { context.input has n && context.input.n < 0 };
`
	if err := os.WriteFile(policy, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "sallyport.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("{ana: {tenant: acme}}"), []byte("{ana: {tenant: acme, groups: [finance]}}"), 1)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	g := launch(t, binary, dir)
	c := &caller{t: t, address: g.address(t)}
	c.waitForTool()
	call := func(arguments string) string {
		c.n++
		return c.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"act","arguments":%s}}`, c.n+10, arguments))
	}
	ends := map[string]bool{}
	for _, arguments := range []string{
		`{"n":` + sent + `}`, `{"n":-` + sent + `}`, `{"n":9` + sent + `}`, `{"n":` + sent + `.5}`, `{"n":` + sent + `e9}`,
		`{"n":"` + sent + `"}`, `{"n":["` + sent + `"]}`, `{"n":{"a":"` + sent + `"}}`, `{"n":null,"m":"` + sent + `"}`, `{"n":99` + sent + `00000}`,
	} {
		ends[call(arguments)] = true
	}
	for _, answer = range []string{
		`"result":{"content":[{"type":"text","text":"` + came + `"}],"isError":true}`,
		`"error":{"code":-32000,"message":"` + came + `","data":"` + came + `"}`,
		`"result":{"content":"` + came + `"`, `"result":"` + came + `"`, `"other":"` + came + `"`,
		`"result":{"inputRequests":{"a":{"method":"` + came + `"}}}`, `"result":{"inputRequests":"` + came + `"}`,
		`"result":{"a":"` + came + `","a":"` + came + `"}`,
	} {
		ends[call(`{"n":`+sent+`}`)] = true
	}
	if len(ends) < 12 {
		t.Errorf("only %d different ends", len(ends))
	}
	metrics, err := http.Get("http://" + g.listening(t).Listen + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	scraped, _ := io.ReadAll(metrics.Body)
	metrics.Body.Close()
	if !bytes.Contains(scraped, []byte("mcp_server_operation_duration")) {
		t.Errorf("no metrics: %.300s", scraped)
	}
	where := map[string]string{
		"metrics": string(scraped),
		"export":  run(t, binary, dir, "log", "export"),
		"query":   run(t, binary, dir, "log", "query", "--limit", "0", "-o", "json"),
		"doctor":  run(t, binary, dir, "doctor"),
	}
	g.kill() // with its write-ahead logs as they are
	where["output"] = g.output.String()
	files := 0
	err = filepath.WalkDir(filepath.Join(dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		where[path] = string(text)
		if info, errInfo := d.Info(); errInfo != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), errInfo)
		}
		return err
	})
	if err != nil || files < 8 {
		t.Errorf("%d files, %v", files, err)
	}
	for place, text := range where {
		for _, secret := range []string{sent, came, "8.675309008675309", "xyzzy"} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s has %s in the clear: …%s…", place, secret, text[max(0, i-300):min(len(text), i+60)])
			}
		}
	}
	// They are there, for whoever asks for them.
	if out := run(t, binary, dir, "log", "export", "--payloads"); !strings.Contains(out, sent) || !strings.Contains(out, came) {
		t.Error("the payloads were not kept")
	}
}
