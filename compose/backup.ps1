# Backs the station up, running or not: the twin of `backup`.
. (Join-Path $PSScriptRoot 'common.ps1')
Assert-Env
Invoke-Compose run --rm -T backup
