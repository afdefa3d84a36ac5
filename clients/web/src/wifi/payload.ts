// The text of a WiFi QR code as phones read it: https://github.com/zxing/zxing/wiki/Barcode-Contents
// "WPA" stands for WPA2 and WPA3 as well; phones refuse any other word for them.
export function wifiPayload(ssid: string, password: string): string {
  return `WIFI:T:WPA;S:${escapeValue(ssid)};P:${escapeValue(password)};;`;
}

function escapeValue(value: string): string {
  return value.replace(/[\\;,":]/g, (character) => `\\${character}`);
}
