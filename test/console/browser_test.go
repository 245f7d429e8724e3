package console

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// chromium starts the browser in which all tests are, once. Where test/fetch.sh has
// run it must be there.
var chromium = sync.OnceValues(func() (context.Context, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		options := append([]chromedp.ExecAllocatorOption{}, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.ExecPath(path), chromedp.WSURLReadTimeout(time.Minute),
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-dev-shm-usage", true),
			chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-backgrounding-occluded-windows", true), chromedp.Flag("disable-renderer-backgrounding", true))
		allocated, _ := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, _ := chromedp.NewContext(allocated)
		return ctx, chromedp.Run(ctx)
	}
	return nil, errNoBrowser
})

var errNoBrowser = errors.New("there is no Chromium: run test/fetch.sh")

// needsBrowser skips a test where there is none and the run doesn't claim that there is.
func needsBrowser(t testing.TB) context.Context {
	t.Helper()
	ctx, err := chromium()
	if errors.Is(err, errNoBrowser) && os.Getenv("SALLYPORT_TEST_FETCHED") == "" {
		t.Skip("NOT RUN: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "4") // people and browsers wait more than they work
	code := m.Run()
	if ctx, err := chromium(); err == nil {
		_ = chromedp.Cancel(ctx)
	}
	os.Exit(code)
}

// browser is a window that shares nothing with the others: no cookies, no storage,
// no passkeys.
type browser struct {
	t   testing.TB
	ctx context.Context
}

// openBrowser opens a window of a size.
func openBrowser(t testing.TB, width, height int64) *browser {
	t.Helper()
	whole := needsBrowser(t)
	every := cdp.WithExecutor(whole, chromedp.FromContext(whole).Browser)
	apart, err := target.CreateBrowserContext().Do(every)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := target.CreateTarget("about:blank").WithBrowserContextID(apart).WithNewWindow(true).Do(every)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(whole, chromedp.WithTargetID(tab))
	t.Cleanup(func() {
		cancel()
		_ = target.DisposeBrowserContext(apart).Do(every)
	})
	b := &browser{t, ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page's script failed: %s", e.ExceptionDetails.Error())
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, "http://localhost:") && !strings.HasPrefix(e.Request.URL, "data:") && // the browser's own icons
				!strings.HasPrefix(e.Request.URL, "http://127.0.0.1:") {
				t.Errorf("the page asks for %s", e.Request.URL)
			}
		}
	})
	if err := chromedp.Run(ctx); err != nil { // with no time limit: what the first one ends with ends the window
		t.Fatal(err)
	}
	b.do(emulation.SetDeviceMetricsOverride(width, height, 1, false), emulation.SetFocusEmulationEnabled(true))
	return b
}

// do runs actions, each of which has its time.
func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	for _, action := range actions {
		ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
		err := chromedp.Run(ctx, action)
		cancel()
		if err != nil {
			b.t.Fatalf("in the browser: %v\n%s", err, b.text())
		}
	}
}

// text is what the page shows, as far as it can be had.
func (b *browser) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 3*time.Second)
	defer cancel()
	var text string
	_ = chromedp.Run(ctx, chromedp.Evaluate("document.body.innerText", &text))
	return text
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url), chromedp.WaitReady("body"))
}

// logIn logs a person in with their secret.
func (b *browser) logIn(g *gate, who string) {
	b.t.Helper()
	b.open(g.origin + "/console/login")
	b.do(chromedp.SetValue("input[name=name]", who), chromedp.SendKeys("input[name=secret]", secretOf(who)),
		chromedp.Click("form button.main"), chromedp.WaitVisible("nav"))
}

// until waits until the page says yes to a script, also while it is another one.
func (b *browser) until(script string) {
	b.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		var yes bool
		err := chromedp.Run(ctx, chromedp.Evaluate(script, &yes))
		cancel()
		if err == nil && yes {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("waited for %s (%v):\n%s", script, err, b.text())
		}
	}
}

// says waits until an act has said what is wrong.
func (b *browser) says(problem string) {
	b.t.Helper()
	b.until(`[...document.querySelectorAll("[role=alert]")].some(e => e.textContent.includes("` + problem + `"))`)
}

// shows waits until something is to be seen.
func (b *browser) shows(selector string) {
	b.t.Helper()
	b.until(`!!document.querySelector('` + selector + `')?.checkVisibility()`)
}

// authenticator gives the browser a device that can hold passkeys.
func (b *browser) authenticator() {
	b.t.Helper()
	b.do(webauthn.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := webauthn.AddVirtualAuthenticator(&webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}).Do(ctx)
		return err
	}))
}

// dark has pages made for a dark or a light system.
func (b *browser) dark(on bool) {
	value := "light"
	if on {
		value = "dark"
	}
	b.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}))
}

// picture takes the whole page.
func (b *browser) picture(path string) {
	b.t.Helper()
	var image []byte
	b.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		_, _, _, _, _, content, err := page.GetLayoutMetrics().Do(ctx)
		if err != nil {
			return err
		}
		image, err = page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatJpeg).WithQuality(55).WithCaptureBeyondViewport(true).
			WithClip(&page.Viewport{Width: content.Width, Height: min(content.Height, 1300), Scale: 1}).Do(ctx)
		return err
	}))
	if err := os.WriteFile(path, image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// violation is what axe finds wrong.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		Html           string
		FailureSummary string
	}
}

// accessible reports what is seriously wrong for people who can't see, or not
// use a mouse.
func (b *browser) accessible(what string) {
	b.t.Helper()
	script, err := os.ReadFile(filepath.Join("axe", "node_modules", "axe-core", "axe.min.js"))
	if err != nil && os.Getenv("SALLYPORT_TEST_FETCHED") == "" {
		b.t.Log("not checked for accessibility: run test/fetch.sh")
		return
	}
	if err != nil {
		b.t.Fatal(err)
	}
	var found string
	b.do(chromedp.Evaluate(string(script)+";true", nil), chromedp.Evaluate(`axe.run(document).then(r => JSON.stringify(r.violations))`, &found, awaited))
	var violations []violation
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range violations {
		if v.Impact == "serious" || v.Impact == "critical" {
			for _, node := range v.Nodes {
				b.t.Errorf("%s: %s (%s): %s\n%s\n%s", what, v.ID, v.Impact, v.Help, node.Html, node.FailureSummary)
			}
		} else {
			b.t.Logf("%s: %s (%s): %s", what, v.ID, v.Impact, v.Help)
		}
	}
}

func (b *browser) evaluate(script string, into any) {
	b.t.Helper()
	b.do(chromedp.Evaluate(script, into))
}

// awaited waits for a promise.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
