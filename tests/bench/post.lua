-- Sends every request of a file once: wrk ... -s post.lua URL -- FILE THREADS
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  requests, at = {}, 0
  local line_number = 0
  for line in io.lines(args[1]) do
    if line_number % tonumber(args[2]) == number then
      local path, authorization, media_type, body = line:match("^(.-)\t(.-)\t(.-)\t(.*)$")
      local headers = { ["Content-Type"] = media_type }
      if authorization ~= "" then headers["Authorization"] = authorization end
      requests[#requests + 1] = wrk.format("POST", path, headers, body)
    end
    line_number = line_number + 1
  end
end

function request()
  at = at + 1
  -- Beyond the end the last one is sent again and refused, which the result shows.
  return requests[math.min(at, #requests)]
end

function done(summary, latency, _)
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration, summary.errors.status, broken,
    latency:percentile(99.0)))
end
