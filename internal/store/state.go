package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"sallyport/internal/manifest"
	"sallyport/internal/pin"
)

// Pins loads all pins.
func (r *Reader) Pins(ctx context.Context) ([]pin.Pin, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT server, item, raw, since, by, seen FROM pins ORDER BY server, item")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var pins []pin.Pin
	for rows.Next() {
		var pin pin.Pin
		var item string
		var since int64
		if err := rows.Scan(&pin.Server, &item, &pin.Raw, &since, &pin.By, &pin.Seen); err != nil {
			return nil, err
		}
		pin.Key, pin.Since = manifest.Key(item), time.UnixMilli(since).UTC()
		pins = append(pins, pin)
	}
	return pins, rows.Err()
}

// SavePins writes pins durably, all or none, replacing those of the same
// server and key.
func (s *Store) SavePins(ctx context.Context, pins []pin.Pin) error {
	return s.committer.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		for _, pin := range pins {
			_, err := conn.ExecContext(ctx, `INSERT INTO pins (server, item, raw, since, by, seen) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (server, item) DO UPDATE SET raw = excluded.raw, since = excluded.since, by = excluded.by, seen = excluded.seen`,
				pin.Server, string(pin.Key), pin.Raw, pin.Since.UnixMilli(), pin.By, pin.Seen)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Credentials loads every record by its name.
func (r *Reader) Credentials(ctx context.Context) (map[string][]byte, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT name, record FROM credentials")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	records := map[string][]byte{}
	for rows.Next() {
		var name string
		var record []byte
		if err := rows.Scan(&name, &record); err != nil {
			return nil, err
		}
		records[name] = record
	}
	return records, rows.Err()
}

// SaveCredential writes one record durably, replacing the one of that name.
func (s *Store) SaveCredential(ctx context.Context, name string, record []byte) error {
	return s.committer.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx,
			"INSERT INTO credentials (name, record) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET record = excluded.record", name, record)
		return err
	})
}

// Setting is the value saved under a name, nil when there is none.
func (r *Reader) Setting(ctx context.Context, name string) ([]byte, error) {
	var value []byte
	err := r.db.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = $1", name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return value, err
}

// SaveSettings writes values durably, all or none, each replacing the one of
// its name.
func (s *Store) SaveSettings(ctx context.Context, values map[string][]byte) error {
	return s.committer.change(ctx, func(ctx context.Context, conn *sql.Conn) error {
		for name, value := range values {
			_, err := conn.ExecContext(ctx,
				"INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
