#ifndef KILN_DAEMON_API_METHODS_H_
#define KILN_DAEMON_API_METHODS_H_

namespace kiln::api {

// Full names of the calls, as metrics label them.
inline constexpr char kGetStation[] = "kiln.v1.Station/GetStation";
inline constexpr char kGetHealth[] = "kiln.v1.Station/GetHealth";
inline constexpr char kWatchEvents[] = "kiln.v1.Station/WatchEvents";
inline constexpr char kListEvents[] = "kiln.v1.Station/ListEvents";
inline constexpr char kVerifyLedger[] = "kiln.v1.Station/VerifyLedger";
inline constexpr char kGetStatistics[] = "kiln.v1.Station/GetStatistics";
inline constexpr char kListBoards[] = "kiln.v1.Boards/ListBoards";
inline constexpr char kGetBoard[] = "kiln.v1.Boards/GetBoard";
inline constexpr char kIdentifyBoard[] = "kiln.v1.Boards/IdentifyBoard";
inline constexpr char kPowerCycleBoard[] = "kiln.v1.Boards/PowerCycleBoard";
inline constexpr char kCreateDeployment[] = "kiln.v1.Deployments/CreateDeployment";
inline constexpr char kGetDeployment[] = "kiln.v1.Deployments/GetDeployment";
inline constexpr char kListDeployments[] = "kiln.v1.Deployments/ListDeployments";
inline constexpr char kCancelDeployment[] = "kiln.v1.Deployments/CancelDeployment";
inline constexpr char kRetryDeployment[] = "kiln.v1.Deployments/RetryDeployment";
inline constexpr char kRevealCredentials[] = "kiln.v1.Deployments/RevealCredentials";
inline constexpr char kGetRecord[] = "kiln.v1.Deployments/GetRecord";
inline constexpr char kCreateBatch[] = "kiln.v1.Batches/CreateBatch";
inline constexpr char kGetBatch[] = "kiln.v1.Batches/GetBatch";
inline constexpr char kListBatches[] = "kiln.v1.Batches/ListBatches";
inline constexpr char kPauseBatch[] = "kiln.v1.Batches/PauseBatch";
inline constexpr char kResumeBatch[] = "kiln.v1.Batches/ResumeBatch";
inline constexpr char kEndBatch[] = "kiln.v1.Batches/EndBatch";
inline constexpr char kAllowBatchBoard[] = "kiln.v1.Batches/AllowBatchBoard";
inline constexpr char kListBatchSlots[] = "kiln.v1.Batches/ListBatchSlots";
inline constexpr char kImportBundle[] = "kiln.v1.Firmware/ImportBundle";
inline constexpr char kBuildBundle[] = "kiln.v1.Firmware/BuildBundle";
inline constexpr char kListBundles[] = "kiln.v1.Firmware/ListBundles";
inline constexpr char kGetBundle[] = "kiln.v1.Firmware/GetBundle";
inline constexpr char kRetireBundle[] = "kiln.v1.Firmware/RetireBundle";

// All of them, so that their metrics are there from the start.
inline constexpr const char* kAllMethods[] = {
    kGetStation,    kGetHealth,       kWatchEvents,      kListEvents,      kVerifyLedger,
    kListBoards,    kGetBoard,        kIdentifyBoard,    kPowerCycleBoard, kCreateDeployment,
    kGetDeployment, kListDeployments, kCancelDeployment, kRetryDeployment, kRevealCredentials,
    kImportBundle,  kListBundles,     kGetBundle,        kRetireBundle,    kGetStatistics,
    kGetRecord,     kCreateBatch,     kGetBatch,         kListBatches,     kPauseBatch,
    kResumeBatch,   kEndBatch,        kAllowBatchBoard,  kListBatchSlots,  kBuildBundle,
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_METHODS_H_
