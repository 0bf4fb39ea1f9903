-- SPDX-License-Identifier: Apache-2.0
--
-- What GHC's runtime asks of a system: its own threads on one or on every core, transactions, the
-- parallel collector, asynchronous exceptions, timers, files, pipes.
--
--     green STATUS     all cases, then ends with STATUS
--     green exception  ends by an exception that nobody handles
--     green blocked    ends because the main thread waits for nobody
--
-- Built twice: for one core, and with -threaded for as many as there are. Every line depends on the
-- program alone, so a run on Linux prints the same.
module Main (main) where

import Control.Concurrent
import Control.Exception
import Control.Monad
import Data.IORef
import Data.List (foldl', sort)
import qualified Data.Map.Strict as Map
import Foreign.C.Types (CInt (..))
import GHC.Conc
import System.Directory
import System.Environment (getArgs)
import System.Exit
import System.IO
import System.IO.Error (isDoesNotExistError)
import System.Mem (performGC)
import System.Mem.Weak (deRefWeak)
import System.Posix.IO (createPipe, fdToHandle)
import System.Posix.Signals
import System.Timeout (timeout)

foreign import ccall unsafe "sched_getcpu" currentCore :: IO CInt

-- The sum of what the threads return.
inThreads :: Int -> (Int -> IO Int) -> IO Int
inThreads count work = do
  results <- forM [0 .. count - 1] $ \n -> do
    result <- newEmptyMVar
    _ <- forkIO (work n >>= evaluate >>= putMVar result)
    return result
  sum <$> mapM takeMVar results

-- With -threaded there is a capability for each core; bound threads run until each core was seen.
everyCore :: IO ()
everyCore
  | not rtsSupportsBoundThreads = putStrLn "every core: the runtime has one thread"
  | otherwise = do
      cores <- getNumProcessors
      setNumCapabilities cores
      seen <- newTVarIO Map.empty
      ends <- forM [0 .. 4 * cores - 1] $ \n -> do
        end <- newEmptyMVar
        let look = do
              core <- currentCore
              count <- atomically $ do
                modifyTVar seen (Map.insert core ())
                Map.size <$> readTVar seen
              unless (count >= cores) (yield >> look)
        _ <- forkOS (look >> putMVar end n)
        return end
      mapM_ takeMVar ends
      count <- Map.size <$> readTVarIO seen
      putStrLn ("every core: " ++ show (count == cores))
  where
    modifyTVar var change = readTVar var >>= writeTVar var . change

variables :: IO ()
variables = do
  channel <- newChan
  forM_ [0 .. 7] $ \n -> forkIO (forM_ [1 .. 500] (writeChan channel . (+ n)))
  total <- sum <$> replicateM 4000 (readChan channel)
  putStrLn ("channel: " ++ show (total :: Int))
  ring <- replicateM 50 newEmptyMVar
  forM_ (zip ring (tail ring)) $ \(from, to) -> forkIO (takeMVar from >>= putMVar to . (+ 1))
  putMVar (head ring) (0 :: Int)
  takeMVar (last ring) >>= putStrLn . ("ring: " ++) . show

transactions :: IO ()
transactions = do
  buffer <- newTVarIO []
  let put item = atomically $ do
        items <- readTVar buffer
        when (length items >= 3) retry
        writeTVar buffer (items ++ [item])
      take1 = atomically $ do
        items <- readTVar buffer
        when (null items) retry
        writeTVar buffer (tail items)
        return (head items)
  taken <- inThreads 8 $ \n ->
    if even n
      then 0 <$ forM_ [1 .. 200] (\i -> put (n * 1000 + i))
      else sum <$> replicateM 200 take1
  putStrLn ("transactions: " ++ show taken)
  gate <- newTVarIO False
  waiting <- newEmptyMVar
  _ <- forkIO $ atomically (readTVar gate >>= check) `orElseIO` putMVar waiting "opened"
  atomically (writeTVar gate True)
  takeMVar waiting >>= putStrLn
  where
    check open = unless open retry
    orElseIO first second = first >> second

data Tree = Leaf | Node Tree !Int Tree

grow :: Int -> Int -> Tree
grow 0 _ = Leaf
grow depth n = Node (grow (depth - 1) (2 * n)) n (grow (depth - 1) (2 * n + 1))

weight :: Tree -> Int
weight Leaf = 0
weight (Node left n right) = weight left + n + weight right

-- What every thread keeps must survive the collections that the others cause.
garbage :: IO ()
garbage = do
  total <- inThreads 8 $ \n -> do
    kept <- evaluate (grow 12 n)
    cell <- newIORef Map.empty
    forM_ [1 .. 3000 :: Int] $ \i -> modifyIORef' cell (Map.insert (i * 7919 `mod` 1009) (grow 4 i))
    table <- readIORef cell
    return $! weight kept + foldl' (\s t -> s + weight t) 0 (Map.elems table)
  putStrLn ("garbage: " ++ show total)
  finalised <- newEmptyMVar
  watched <- newIORef total
  weak <- mkWeakIORef watched (putMVar finalised ())
  performGC
  takeMVar finalised
  kept <- deRefWeak weak
  putStrLn ("weak: " ++ maybe "gone" (const "kept") kept)
  putStrLn ("numbers: " ++ show (product [1 .. 200 :: Integer] `mod` (10 ^ (60 :: Int) + 7)))

exceptions :: IO ()
exceptions = do
  division <- try (evaluate (1 `div` (0 :: Int)))
  putStrLn ("division: " ++ show (division :: Either ArithException Int))
  pattern <- try (evaluate (head (drop 3 [1, 2, 3 :: Int])))
  putStrLn ("empty list: " ++ either (\e -> const "caught" (e :: SomeException)) show pattern)
  started <- newEmptyMVar
  ended <- newEmptyMVar
  victim <- mask_ $ forkIOWithUnmask $ \unmask ->
    (unmask (putMVar started () >> forever (threadDelay 1000000)) `catch` (putMVar ended . show . asyncOf))
  takeMVar started
  killThread victim
  takeMVar ended >>= putStrLn . ("killed: " ++)
  late <- timeout 20000 (forever (threadDelay 1000))
  putStrLn ("timeout: " ++ show (late :: Maybe ()))
  blocked <- newEmptyMVar :: IO (MVar ())
  lonely <- try (takeMVar blocked)
  putStrLn ("alone: " ++ show (lonely :: Either BlockedIndefinitelyOnMVar ()))
  let deep n = if n == (0 :: Int) then 0 else 1 + deep (n - 1) :: Int
  putStrLn ("deep: " ++ show (deep 1000000))
  where
    asyncOf e = e :: AsyncException

-- A loop that allocates nothing is left through the timer only where the compiler lets it; one that
-- allocates always.
preemption :: IO ()
preemption = do
  flag <- newIORef False
  done <- newEmptyMVar
  _ <- forkIO (let spin n = readIORef flag >>= \f -> if f then putMVar done (n > (0 :: Integer)) else spin (n + 1) in spin 1)
  threadDelay 1000
  writeIORef flag True
  takeMVar done >>= putStrLn . ("preempted: " ++) . show

signals :: IO ()
signals = do
  arrived <- newEmptyMVar
  forM_ [sigUSR1, sigUSR2, sigTERM] $ \s -> installHandler s (Catch (putMVar arrived (toInteger s))) Nothing
  got <- forM [sigUSR1, sigUSR2, sigTERM] $ \s -> raiseSignal s >> takeMVar arrived
  putStrLn ("signals: " ++ show got)

files :: IO ()
files = do
  let folder = "green"
      name n = folder ++ "/part" ++ show n
  createDirectory folder
  written <- inThreads 6 $ \n -> do
    writeFile (name n) (unlines (map show [n * 1000 .. n * 1000 + 999]))
    fromIntegral <$> getFileSize (name n)
  names <- sort <$> listDirectory folder
  total <- sum . map (sum . map read . lines) <$> mapM (readFile . ((folder ++ "/") ++)) names
  putStrLn ("files: " ++ show (written, names, total :: Int))
  renameFile (name (0 :: Int)) (name (9 :: Int))
  missing <- try (readFile (name (0 :: Int)))
  putStrLn ("missing: " ++ either (show . isDoesNotExistError) id missing)
  appendFile (name (9 :: Int)) "end\n"
  withFile (name (9 :: Int)) ReadMode $ \h -> do
    hSeek h SeekFromEnd (-8)
    hGetContents h >>= putStrLn . ("tail: " ++) . show
  removeDirectoryRecursive folder

pipes :: IO ()
pipes = do
  (from, to) <- createPipe
  reader <- fdToHandle from
  writer <- fdToHandle to
  _ <- forkIO (forM_ [1 .. 20000 :: Int] (hPutStrLn writer . show) >> hClose writer)
  text <- hGetContents reader
  putStrLn ("pipe: " ++ show (foldl' (\s l -> s + read l) 0 (lines text) :: Int))

time :: IO ()
time = do
  order <- newMVar []
  _ <- inThreads 5 $ \n -> do
    threadDelay ((5 - n) * 60000)
    modifyMVar_ order (return . (n :))
    return n
  length <$> readMVar order >>= putStrLn . ("delays: " ++) . show

main :: IO ()
main = do
  [argument] <- getArgs
  hSetBuffering stdout LineBuffering
  case argument of
    "exception" -> putStrLn "before the exception" >> throwIO (userError "nobody handles")
    "blocked" -> putStrLn "before the wait" >> newEmptyMVar >>= takeMVar
    _ -> return ()
  everyCore
  variables
  transactions
  garbage
  exceptions
  preemption
  signals
  files
  pipes
  time
  putStrLn "end"
  exitWith (if argument == "0" then ExitSuccess else ExitFailure (read argument))
