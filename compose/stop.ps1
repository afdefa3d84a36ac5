# Stops the station's containers; ledger, records and settings stay: the twin of `stop`.
. (Join-Path $PSScriptRoot 'common.ps1')
Assert-Env
Invoke-Compose --profile '*' down --remove-orphans
Write-Host 'Stopped.'
