# Puts a backup in the place of the station's ledger, bundles and records: the twin of `restore`.   .\restore.ps1 [ARCHIVE]
param([string]$Archive)
. (Join-Path $PSScriptRoot 'common.ps1')
Assert-Env
$folder = Get-PathSetting 'KILN_BACKUP_DIR' './backups'
if (-not $Archive) {
    Write-Host 'Which one? .\restore.ps1 ARCHIVE'
    Get-ChildItem $folder | Sort-Object LastWriteTime -Descending | ForEach-Object { $_.Name }
    exit 2
}
$name = Split-Path -Leaf $Archive
if (-not (Test-Path (Join-Path $folder $name))) { throw "There is no $name in $folder" }
Invoke-Compose stop kiln-gateway kilnd
try {
    Invoke-Compose run --rm backup restore "/backups/$name"
} finally {
    & (Join-Path $here 'start.ps1')
}
