# Starts the station's containers and waits until they are healthy: the twin of `start`.
. (Join-Path $PSScriptRoot 'common.ps1')

if (-not (Test-Path $envFile)) {
    $desktop = ([Environment]::GetFolderPath('Desktop')) -replace '\\', '/'
    (Get-Content (Join-Path $here '.env.example')) `
        -replace '^KILN_OVERLAYS=.*', 'KILN_OVERLAYS=windows' `
        -replace '^EXPORT_HOST_DIR=.*', "EXPORT_HOST_DIR=$desktop/esp32-exports" |
        Set-Content -Encoding utf8NoBOM $envFile
    Write-Host "Made $envFile" -ForegroundColor Yellow
}
foreach ($folder in (Get-PathSetting 'EXPORT_HOST_DIR' './exports'), (Get-PathSetting 'KILN_BACKUP_DIR' './backups')) {
    if (-not (Test-Path $folder)) { New-Item -ItemType Directory $folder | Out-Null }
}

$tokens = Get-PathSetting 'KILN_TOKEN_FILE' './secrets/gateway_tokens'
$token = $null
if (-not (Test-Path $tokens)) {
    New-Item -ItemType Directory -Force (Split-Path $tokens) | Out-Null
    $image = "$(Get-Setting 'KILN_REGISTRY' 'kiln')/kiln-gateway:$(Get-Setting 'KILN_TAG' '0.1.0')"
    $made = & docker run --rm --network none $image --new-token admin:owner
    if ($LASTEXITCODE -ne 0) { throw 'No token could be made' }
    ($made | Select-String '^Line of the token file: (.*)$').Matches[0].Groups[1].Value | Set-Content -Encoding utf8NoBOM $tokens
    $token = ($made | Select-String '^Token, for \S+ alone: *(.*)$').Matches[0].Groups[1].Value
}

try {
    Invoke-Compose up -d --wait --wait-timeout (Get-Setting 'KILN_START_TIMEOUT' '120')
} catch {
    Invoke-Compose ps --all
    Invoke-Compose logs --tail 50
    throw
}
Invoke-Compose ps
$port = if ((Get-Setting 'KILN_OVERLAYS') -match '\bstaging\b') { '8090' } else { '8080' }
Write-Host "The operator's page: http://$(Get-Setting 'KILN_BIND' '127.0.0.1'):$(Get-Setting 'KILN_PORT' $port)/" -ForegroundColor Green
if ($token) { Write-Host "Sign in with this token, which is shown this once: $token" -ForegroundColor Yellow }
