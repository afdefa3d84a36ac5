# A new backup together with settings, secrets and compose files, as one archive: the twin of `full-backup`.
. (Join-Path $PSScriptRoot 'common.ps1')
Assert-Env
& (Join-Path $here 'backup.ps1')
$folder = Get-PathSetting 'KILN_BACKUP_DIR' './backups'
$newest = Get-ChildItem $folder -Filter 'kiln-*' | Sort-Object LastWriteTime -Descending | Select-Object -First 1
$target = Join-Path $folder ('full-' + (Get-Date -Format 'yyyyMMdd-HHmmss') + '.tar.gz')
# Windows 10 and newer have tar.
& tar -czf $target --exclude exports --exclude backups -C (Split-Path $here) (Split-Path -Leaf $here) -C $folder $newest.Name
if ($LASTEXITCODE -ne 0) { throw 'The archive could not be written' }
Get-ChildItem $folder -Filter 'full-*.tar.gz' | Sort-Object Name -Descending | Select-Object -Skip 7 | Remove-Item
Write-Host $target
