package hostile

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// childMode makes the test binary a stdio server that misbehaves.
const childMode = "HOSTILE_CHILD"

func beChild(mode string) {
	if mode == "sleeper" {
		time.Sleep(time.Minute)
		return
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ Name string }
		}
		if json.Unmarshal(in.Bytes(), &m) != nil || m.ID == nil {
			continue
		}
		say := func(result string) { fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", m.ID, result) }
		switch m.Method {
		case "initialize":
			say(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"child","version":"1"}}`)
		case "tools/list":
			var tools []string
			for _, name := range []string{"get_balance", "endless_line", "endless_errors", "closes_input", "dies", "malformed", "blank_lines", "environment", "files", "gateway", "forks"} {
				tools = append(tools, `{"name":"`+name+`","inputSchema":{"type":"object"}}`)
			}
			say(`{"tools":[` + strings.Join(tools, ",") + `]}`)
		case "tools/call":
			misbehave(m.Params.Name, func(text string) {
				quoted, _ := json.Marshal(text)
				say(`{"content":[{"type":"text","text":` + string(quoted) + `}]}`)
			})
		default:
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}`+"\n", m.ID)
		}
	}
}

func misbehave(tool string, say func(text string)) {
	switch tool {
	case "get_balance":
		say("12.50")
	case "endless_line":
		fmt.Print(`{"jsonrpc":"2.0","method":"`)
		for range 100 << 4 { // 100 MiB
			if _, err := fmt.Print(strings.Repeat("x", 1<<16)); err != nil {
				os.Exit(1)
			}
		}
	case "endless_errors":
		for range 100_000 {
			fmt.Fprintln(os.Stderr, "\x1b[2Jof-foe-alone "+strings.Repeat("x", 200))
		}
		fmt.Fprint(os.Stderr, strings.Repeat("y", 1<<20))
		say("quiet")
	case "closes_input":
		os.Stdin.Close()
		os.Stdout.Close()
		time.Sleep(time.Minute)
	case "dies":
		os.Exit(7)
	case "malformed":
		fmt.Println(`{"jsonrpc":"2.0","id":`)
	case "blank_lines":
		fmt.Print(strings.Repeat("\n", 1<<20))
		say("patient")
	case "environment":
		say(strings.Join(os.Environ(), "|"))
	case "files":
		entries, _ := os.ReadDir("/proc/self/fd")
		var open []string
		for _, e := range entries {
			if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
				open = append(open, e.Name()+"="+to)
			}
		}
		say(strings.Join(open, " "))
	case "gateway":
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", os.Getppid()))
		say(strings.ReplaceAll(string(text), "\x00", " "))
	case "forks":
		c := exec.Command(os.Args[0])
		c.Env = []string{childMode + "=sleeper"}
		c.Stdout = os.Stdout // which keeps the pipe open
		if err := c.Start(); err != nil {
			os.Exit(1)
		}
		say(fmt.Sprint(c.Process.Pid))
	}
}
