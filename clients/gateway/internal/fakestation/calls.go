package fakestation

import (
	"context"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/failure"
)

// Secret is the WiFi password of every deployment here: it must be in no answer but those that reveal it.
const Secret = "SECRET-PASSWORD"

// GetStation answers a fixed station.
func (s *Station) GetStation(context.Context, *kilnv1.GetStationRequest) (*kilnv1.StationInfo, error) {
	return &kilnv1.StationInfo{StationId: "fake", Version: "1.2.3"}, nil
}

// GetHealth answers the level that was set, with one check.
func (s *Station) GetHealth(context.Context, *kilnv1.GetHealthRequest) (*kilnv1.Health, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &kilnv1.Health{Level: s.level, CheckTime: timestamppb.Now(), Checks: []*kilnv1.HealthCheck{
		{Name: "ledger", Ok: s.level != kilnv1.Health_LEVEL_UNHEALTHY, Critical: true, Message: "in /var/lib/kiln"},
		{Name: "stubs", Ok: s.level == kilnv1.Health_LEVEL_HEALTHY, Message: "stub loaders"},
	}}, nil
}

// GetBoard knows no board, in a typed error with every detail the station sends.
func (s *Station) GetBoard(_ context.Context, request *kilnv1.GetBoardRequest) (*kilnv1.Board, error) {
	return nil, Refuse(codes.NotFound, "PORT_NOT_FOUND", request.GetName()+" is not known", "name")
}

// IdentifyBoard never comes to an end by itself.
func (s *Station) IdentifyBoard(ctx context.Context, _ *kilnv1.IdentifyBoardRequest) (*kilnv1.Board, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// CreateDeployment answers the order.
func (s *Station) CreateDeployment(_ context.Context, request *kilnv1.CreateDeploymentRequest) (*kilnv1.Deployment, error) {
	if request.GetCustomer().GetCustomerId() == "" {
		return nil, Refuse(codes.InvalidArgument, "CUSTOMER_INVALID", "customer.customer_id: is required", "customer.customer_id")
	}
	return &kilnv1.Deployment{Name: "deployments/1", RequestId: request.GetRequestId(), Customer: request.GetCustomer(),
		State: kilnv1.Deployment_STATE_PENDING, HasWifiPassword: true}, nil
}

// RevealCredentials answers the secret.
func (s *Station) RevealCredentials(context.Context, *kilnv1.RevealCredentialsRequest) (*kilnv1.RevealCredentialsResponse, error) {
	return &kilnv1.RevealCredentialsResponse{WifiSsid: "SSID", WifiPassword: Secret}, nil
}

// GetRecord answers a record with the secret.
func (s *Station) GetRecord(_ context.Context, request *kilnv1.GetRecordRequest) (*kilnv1.GetRecordResponse, error) {
	if request.GetName() != "deployments/1" {
		return nil, Refuse(codes.NotFound, failure.DeploymentNotFound, request.GetName())
	}
	return &kilnv1.GetRecordResponse{FileName: "customer-BGK001.json", Json: `{"wifi":{"password":"` + Secret + `"}}`}, nil
}

// ListDeployments answers the history, newest first.
func (s *Station) ListDeployments(_ context.Context, request *kilnv1.ListDeploymentsRequest) (*kilnv1.ListDeploymentsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := int(request.GetPageSize())
	if size == 0 {
		size = 50
	}
	skip, _ := strconv.Atoi(request.GetPageToken()) // empty: none
	answer := &kilnv1.ListDeploymentsResponse{}
	for i := len(s.deployments) - 1 - skip; i >= 0; i-- {
		if len(answer.Deployments) == size {
			answer.NextPageToken = strconv.Itoa(skip + size)
			break
		}
		answer.Deployments = append(answer.Deployments, s.deployments[i])
	}
	return answer, nil
}
