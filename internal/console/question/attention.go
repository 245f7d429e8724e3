package question

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sallyport/internal/attention"
	"sallyport/internal/console/form"
)

// attentionData is how people looked at what they were asked.
type attentionData struct {
	attention.Stats
	Days int `json:"-"`
}

// Spans are the numbers of days that the page offers.
func (attentionData) Spans() []int { return []int{1, 7, 30, 90} }

// Rate is a share as people read it.
func (attentionData) Rate(percent float64) string {
	if math.IsNaN(percent) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", percent)
}

// Seconds is a time as people compare it.
func (attentionData) Seconds(ms int64) string {
	if ms == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f s", float64(ms)/1000)
}

// Attention counts the last days, today included.
func (p *Pages) Attention(r *http.Request) (string, any, error) {
	data := attentionData{Days: 7}
	if text := r.URL.Query().Get("days"); text != "" {
		var err error
		if data.Days, err = strconv.Atoi(text); err != nil || data.Days < 1 || data.Days > 366 {
			return "", nil, form.Refused(http.StatusBadRequest, "days is a number from 1 to 366.")
		}
	}
	until := time.Now().UTC().Truncate(time.Second).Add(time.Second)
	since := until.Truncate(24*time.Hour).AddDate(0, 0, 1-data.Days)
	between := url.Values{"since": {since.Format(time.RFC3339)}, "until": {until.Format(time.RFC3339)}}
	return "Attention", data, p.Gate.Get(r.Context(), "/attention?"+between.Encode(), &data.Stats)
}
