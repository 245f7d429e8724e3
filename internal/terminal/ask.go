package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNobody says that there is no terminal to ask a person at.
var ErrNobody = errors.New("nobody can be asked: there is no terminal")

// Ask puts a yes-or-no question to the person at the terminal. The default,
// and whatever is not a clear yes, is no.
func Ask(ctx context.Context, question string) bool {
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

// Secret asks for a secret without showing it.
func Secret(prompt string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", ErrNobody
	}
	defer tty.Close()
	fmt.Fprint(tty, prompt)
	secret, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	return string(secret), err
}

// Answer asks for a line of text, which is shown as it is typed.
func Answer(prompt string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", ErrNobody
	}
	defer tty.Close()
	fmt.Fprint(tty, prompt)
	line, err := bufio.NewReader(tty).ReadString('\n')
	return strings.TrimSpace(line), err
}

// SecretFile reads a secret from the first line of a file that nobody else
// may read; "-" is standard input, which in is.
func SecretFile(name string, in io.Reader) (string, error) {
	if name == "-" {
		return firstLine(in)
	}
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
