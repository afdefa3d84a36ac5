// Package download serves what people keep as files: the record of a deployment and the history as CSV.
package download

import (
	"context"
	"encoding/csv"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/types/known/timestamppb"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/failure"
	"kiln.local/gateway/internal/rest"
)

const (
	// Deployments asked for at a time.
	pageSize = 500
	// A reader that takes nothing for so long is gone.
	writeTimeout = 30 * time.Second
	// Excel takes a CSV for UTF-8, and shows Thai, only with it.
	byteOrderMark = "\ufeff"
)

// Handler serves the files.
type Handler struct {
	Client kilnv1.DeploymentsClient
}

// Record answers GET /v1/deployments/{id}/record. It holds the WiFi password, so that the station notes who
// asked.
func (h Handler) Record(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), rest.Deadline)
	defer cancel()
	record, err := h.Client.GetRecord(ctx, &kilnv1.GetRecordRequest{
		Name: "deployments/" + r.PathValue("id"), Reason: r.URL.Query().Get("reason"),
	})
	if err != nil {
		failure.Write(w, r, err)
		return
	}
	attach(w, "application/json", record.GetFileName())
	_, _ = io.WriteString(w, record.GetJson()) // a reader that is gone needs no answer
}

// CSV answers GET /v1/deployments.csv?filter.…: the whole history that matches, newest first, without
// passwords. What goes wrong after the first page breaks the connection, so that nobody takes half a file
// for a whole one.
func (h Handler) CSV(w http.ResponseWriter, r *http.Request) {
	request, err := requestOf(r.URL.Query())
	if err != nil {
		failure.Write(w, r, err)
		return
	}
	controller := http.NewResponseController(w)
	var table *csv.Writer
	for {
		page, err := h.page(r.Context(), request)
		if err != nil && table == nil {
			failure.Write(w, r, err)
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if table == nil {
			attach(w, "text/csv; charset=utf-8", "deployments-"+time.Now().Format("2006-01-02")+".csv")
			_, _ = io.WriteString(w, byteOrderMark) // the writes below tell a reader that is gone
			table = csv.NewWriter(w)
			table.UseCRLF = true // RFC 4180
			_ = table.Write(columns)
		}
		// Not every connection has deadlines.
		_ = controller.SetWriteDeadline(time.Now().Add(writeTimeout))
		for _, deployment := range page.GetDeployments() {
			_ = table.Write(rowOf(deployment))
		}
		if table.Flush(); table.Error() != nil {
			return
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return
		}
	}
}

func (h Handler) page(ctx context.Context, request *kilnv1.ListDeploymentsRequest) (*kilnv1.ListDeploymentsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, rest.Deadline)
	defer cancel()
	return h.Client.ListDeployments(ctx, request)
}

func requestOf(query url.Values) (*kilnv1.ListDeploymentsRequest, error) {
	query.Del("lang")
	request := &kilnv1.ListDeploymentsRequest{}
	if err := runtime.PopulateQueryParameters(request, query, utilities.NewDoubleArray(nil)); err != nil {
		return nil, failure.New(http.StatusBadRequest, failure.RequestInvalid, err.Error())
	}
	request.PageSize = pageSize
	request.PageToken = ""
	return request, nil
}

func attach(w http.ResponseWriter, contentType, name string) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
}

var columns = []string{
	"created", "ended", "state", "organization", "customer_id", "application_name", "expiry_date", "wifi_ssid",
	"mac", "chip", "port", "bundle", "attempt", "step", "error_code", "error_detail", "deployment",
}

func rowOf(d *kilnv1.Deployment) []string {
	customer := d.GetCustomer()
	row := []string{
		timeText(d.GetCreateTime()), timeText(d.GetEndTime()),
		strings.TrimPrefix(d.GetState().String(), "STATE_"),
		customer.GetOrganization(), customer.GetCustomerId(), customer.GetApplicationName(), customer.GetExpiryDate(),
		d.GetWifiSsid(), d.GetMac(), d.GetChip(), d.GetPort(), strings.TrimPrefix(d.GetBundle(), "bundles/"),
		strconv.Itoa(int(d.GetAttempt())), strings.TrimPrefix(d.GetStep().String(), "STEP_"),
		d.GetFailure().GetCode(), d.GetFailure().GetDetail(), strings.TrimPrefix(d.GetName(), "deployments/"),
	}
	for i := range row {
		row[i] = harmless(row[i])
	}
	return row
}

func timeText(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return at.AsTime().UTC().Format(time.RFC3339)
}

// harmless keeps a spreadsheet from taking a text for a formula.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
