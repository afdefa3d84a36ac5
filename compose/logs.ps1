# Follows the logs, JSON lines: the twin of `logs`.   .\logs.ps1 kilnd --since 1h
. (Join-Path $PSScriptRoot 'common.ps1')
Assert-Env
Invoke-Compose logs --follow @args
