package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// secretFlag adds the flag by which scripts give the human's secret.
func (c *cli) secretFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.secretFile, "secret-file", "", "read the human's secret from this file (mode 0600), or from - (standard input), instead of asking")
}

// secret gets the human's secret: from the file named, or by asking without
// showing it. It is never taken from the command line or the environment,
// where other processes can read it.
func (c *cli) secret(prompt string) (string, error) {
	switch {
	case c.secretFile == "-":
		return firstLine(c.in)
	case c.secretFile != "":
		return secretFrom(c.secretFile)
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", usage("this needs the human's secret: run it on a terminal, or name a file with --secret-file")
	}
	defer tty.Close()
	fmt.Fprint(tty, prompt)
	secret, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	return string(secret), err
}

func secretFrom(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("others can read %s: chmod 600 it, and choose another secret", name)
	}
	return firstLine(file)
}

func firstLine(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, 4<<10))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", errors.New("the secret is empty")
	}
	return line, nil
}

// ask puts a yes-or-no question to the person at the terminal. The default,
// and whatever is not a clear yes, is no.
func ask(ctx context.Context, question string) bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	fmt.Fprintf(tty, "%s [y/N] ", question)
	answered := make(chan string, 1)
	go func() {
		defer tty.Close()
		var answer string
		fmt.Fscanln(tty, &answer)
		answered <- strings.ToLower(strings.TrimSpace(answer))
	}()
	select {
	case answer := <-answered:
		return answer == "y" || answer == "yes"
	case <-ctx.Done():
		return false
	}
}
