// Package upload takes firmware packages by HTTP and streams them to the station as they arrive.
package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/grpc"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/failure"
	"kiln.local/gateway/internal/guard"
	"kiln.local/gateway/internal/rest"
)

const (
	// The contract allows 1 MiB; less keeps memory small while many import.
	chunkBytes = 256 << 10
	// A sender that is silent for so long is given up; the station does the same.
	idleTimeout = 30 * time.Second
	// Fields beside the file in a form.
	maxFieldBytes = 1 << 10
)

// Handler serves POST /v1/bundles:import.
type Handler struct {
	Client kilnv1.FirmwareClient
}

// Is tells whether the request goes to this handler.
func Is(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/v1/bundles:import"
}

// ServeHTTP takes the package as the body (application/zip or application/octet-stream), or, from a browser's
// form on the station's own page, as the part "file" of multipart/form-data.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := h.receive(w, r)
	if err != nil {
		// What is left of the body is not read: the connection ends with the answer.
		w.Header().Set("Connection", "close")
		failure.Write(w, r, err)
		return
	}
	encoded, err := rest.JSON.Marshal(answer)
	if err != nil {
		failure.Write(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(encoded) // a reader that is gone needs no answer
}

func (h Handler) receive(w http.ResponseWriter, r *http.Request) (*kilnv1.ImportBundleResponse, error) {
	header, err := headerOf(r.URL.Query())
	if err != nil {
		return nil, err
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, wrongType()
	}
	body := &patientReader{reader: r.Body, controller: http.NewResponseController(w)}
	switch mediaType {
	case "application/zip", "application/octet-stream":
		if r.ContentLength > 0 {
			header.SizeBytes = uint64(r.ContentLength)
		}
		return h.send(r.Context(), header, body)
	case "multipart/form-data":
		// A form needs no permission to be sent across sites: only the station's own page may.
		if !guard.FromOwnPage(r) {
			return nil, failure.New(http.StatusForbidden, failure.RequestRefused,
				"forms are for the station's own page; scripts send the package as the body")
		}
		r.Body = body
		return h.receiveForm(r, header)
	}
	return nil, wrongType()
}

func wrongType() error {
	return failure.New(http.StatusUnsupportedMediaType, failure.RequestRefused,
		"Content-Type must be application/zip or application/octet-stream")
}

func (h Handler) receiveForm(r *http.Request, header *kilnv1.ImportBundleHeader) (*kilnv1.ImportBundleResponse, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, failure.New(http.StatusBadRequest, failure.RequestInvalid, err.Error())
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, failure.New(http.StatusBadRequest, failure.RequestInvalid, `the form has no part "file"`)
		}
		if err != nil {
			return nil, readError(err)
		}
		if part.FormName() == "file" {
			if header.FileName == "" {
				header.FileName = part.FileName()
			}
			return h.send(r.Context(), header, part)
		}
		value, err := io.ReadAll(io.LimitReader(part, maxFieldBytes))
		if err != nil {
			return nil, readError(err)
		}
		if err := setField(header, part.FormName(), string(value)); err != nil {
			return nil, err
		}
	}
}

// send streams `body` to the station. A body that breaks off cancels the call, so that nothing is stored.
func (h Handler) send(ctx context.Context, header *kilnv1.ImportBundleHeader, body io.Reader) (*kilnv1.ImportBundleResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := h.Client.ImportBundle(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&kilnv1.ImportBundleRequest{Payload: &kilnv1.ImportBundleRequest_Header{Header: header}})
	if err != nil {
		return refused(stream, err)
	}
	sent := int64(0)
	buffer := make([]byte, chunkBytes)
	for {
		count, err := fill(body, buffer)
		if sent += int64(count); sent > guard.MaxUploadBytes {
			return nil, failure.New(http.StatusRequestEntityTooLarge, failure.BundleTooLarge,
				fmt.Sprintf("the limit is %d bytes", guard.MaxUploadBytes))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, readError(err)
		}
		if count > 0 {
			chunk := &kilnv1.ImportBundleRequest_Chunk{Chunk: buffer[:count]}
			if err := stream.Send(&kilnv1.ImportBundleRequest{Payload: chunk}); err != nil {
				return refused(stream, err)
			}
		}
		if err != nil {
			break
		}
	}
	return stream.CloseAndRecv()
}

// refused answers what the station said when it ended the stream before its end.
func refused(stream grpc.ClientStreamingClient[kilnv1.ImportBundleRequest, kilnv1.ImportBundleResponse], err error) (*kilnv1.ImportBundleResponse, error) {
	if errors.Is(err, io.EOF) {
		return stream.CloseAndRecv()
	}
	return nil, err
}

// fill reads until `buffer` is full or the body ends, well (io.EOF) or not. Unlike io.ReadFull it keeps the
// two apart.
func fill(body io.Reader, buffer []byte) (int, error) {
	total := 0
	for total < len(buffer) {
		count, err := body.Read(buffer[total:])
		total += count
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func readError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return failure.New(http.StatusRequestEntityTooLarge, failure.BundleTooLarge,
			fmt.Sprintf("the limit is %d bytes", guard.MaxUploadBytes))
	}
	return failure.New(http.StatusBadRequest, failure.RequestInvalid, "the package broke off")
}

// headerOf reads ?fileName (or ?file_name), ?title, ?version, ?chip, ?requestId and ?validateOnly.
func headerOf(query url.Values) (*kilnv1.ImportBundleHeader, error) {
	header := &kilnv1.ImportBundleHeader{}
	for name, values := range query {
		if err := setField(header, name, values[0]); err != nil {
			return nil, err
		}
	}
	return header, nil
}

func setField(header *kilnv1.ImportBundleHeader, name, value string) error {
	switch name {
	case "fileName", "file_name":
		header.FileName = value
	case "title":
		header.Title = value
	case "version":
		header.Version = value
	case "chip":
		header.Chip = value
	case "requestId", "request_id":
		header.RequestId = value
	case "validateOnly", "validate_only":
		wanted, err := strconv.ParseBool(value)
		if err != nil {
			return failure.New(http.StatusBadRequest, failure.RequestInvalid, name+" must be true or false")
		}
		header.ValidateOnly = wanted
	case "lang":
	default:
		return failure.New(http.StatusBadRequest, failure.RequestInvalid,
			"there is no parameter "+strconv.Quote(name))
	}
	return nil
}

// patientReader waits for each piece of the body only so long.
type patientReader struct {
	reader     io.ReadCloser
	controller *http.ResponseController
}

func (p *patientReader) Read(buffer []byte) (int, error) {
	// Not every connection has deadlines; the station's own idle time is behind this one.
	_ = p.controller.SetReadDeadline(time.Now().Add(idleTimeout))
	count, err := p.reader.Read(buffer)
	if err != nil {
		_ = p.controller.SetReadDeadline(time.Time{})
	}
	return count, err
}

func (p *patientReader) Close() error { return p.reader.Close() }
