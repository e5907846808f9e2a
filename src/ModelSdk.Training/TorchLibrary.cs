using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using ModelSdk.Manifest;
using ModelSdk.Training.Native;
using TorchSharp;

namespace ModelSdk.Training;

/// <summary>Loads torch's native libraries from the NuGet package folder. Call <see cref="EnsureLoaded"/> before the first use of TorchSharp.</summary>
/// <remarks>
/// libtorch (0.6 GB) is never copied into an output folder. Where the system's libstdc++ is older than GCC 13 the plain load of
/// libLibTorchSharp.so fails; then a copy with one weak version requirement is used, see <see cref="ElfVersionPatch"/>.
/// </remarks>
public static partial class TorchLibrary
{
    /// <summary>Environment variable that names the folder with libtorch's native libraries; wins over the package folder.</summary>
    public const string FolderVariable = "MODELSDK_LIBTORCH";

    private const string MissingVersion = "GLIBCXX_3.4.32";
    private static readonly Lock Gate = new();
    private static readonly Dictionary<string, nint> Loaded = new(StringComparer.Ordinal);
    private static bool s_ready;

    /// <summary>Version of the libtorch package that this build was made with, such as "2.10.0".</summary>
    public static string PackageVersion { get; } = typeof(TorchLibrary).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(a => a.Key == "LibTorchVersion").Value!;

    /// <summary>The OpenMP library that torch runs on; null where it has another name.</summary>
    internal static nint? OpenMp { get; private set; }

    /// <summary>Loads the native libraries once per process; later calls do nothing.</summary>
    /// <param name="folder">Folder with libtorch's native libraries; null: <see cref="FolderVariable"/>, else the NuGet package folder.</param>
    /// <exception cref="TrainingException">MDL3001: libtorch is missing, or this system cannot load it.</exception>
    public static void EnsureLoaded(string? folder = null)
    {
        lock (Gate)
        {
            if (s_ready)
            {
                return;
            }

            Load(FindFolder(folder, Environment.GetEnvironmentVariable, Directory.Exists));
            s_ready = true;
        }
    }

    /// <summary>Where libtorch's natives are looked for; separate from loading for tests.</summary>
    internal static string FindFolder(string? folder, Func<string, string?> environment, Func<string, bool> exists)
    {
        folder ??= environment(FolderVariable) is { Length: > 0 } named ? named : null;
        if (folder is not null)
        {
            return exists(folder) ? folder : throw new TrainingException(
                DiagnosticCodes.TorchUnavailable,
                $"The libtorch folder '{folder}' does not exist. Name the folder that holds libtorch_cpu, or unset {FolderVariable} to use the NuGet package.",
                folder);
        }

        var packages = environment("NUGET_PACKAGES") is { Length: > 0 } root
            ? root
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        var candidate = Path.Combine(packages, $"libtorch-cpu-{Rid}", PackageVersion, "runtimes", Rid, "native");
        return exists(candidate) ? candidate : throw new TrainingException(
            DiagnosticCodes.TorchUnavailable,
            $"libtorch is missing: '{candidate}' does not exist. Training needs the NuGet package libtorch-cpu-{Rid} {PackageVersion}: restore it (PackageDownload in the project does), set NUGET_PACKAGES to the package folder, or set {FolderVariable} to a folder with libtorch's native libraries.",
            candidate);
    }

    private static string Rid =>
        OperatingSystem.IsWindows() ? (RuntimeInformation.OSArchitecture == Architecture.Arm64 ? "win-arm64" : "win-x64")
        : OperatingSystem.IsMacOS() ? "osx-arm64"
        : "linux-x64";

    private static void Load(string folder)
    {
        string prefix = OperatingSystem.IsWindows() ? "" : "lib", suffix = OperatingSystem.IsWindows() ? ".dll" : OperatingSystem.IsMacOS() ? ".dylib" : ".so";
        WaitWithoutSpinning();
        KeepMemory();
        // Dependencies first: libLibTorchSharp.so finds them by name because they are loaded already.
        foreach (var name in (string[])["c10", "torch_cpu", "torch"])
        {
            var path = Path.Combine(folder, prefix + name + suffix);
            if (!NativeLibrary.TryLoad(path, out var handle))
            {
                throw Failure($"'{path}' cannot be loaded", Reason(path), path);
            }

            Loaded[name] = handle;
        }

        if (Directory.GetFiles(folder, "libgomp*") is [var openMp, ..] && NativeLibrary.TryLoad(openMp, out var openMpHandle))
        {
            OpenMp = openMpHandle; // The same library that libtorch_cpu has loaded, found by its path.
        }

        var shim = FindShim(prefix + "LibTorchSharp" + suffix);
        if (!NativeLibrary.TryLoad(shim, out var shimHandle))
        {
            var reason = Reason(shim);
            if (!OperatingSystem.IsLinux() || !NativeLibrary.TryLoad(PatchedCopy(shim, CacheFolder()), out shimHandle))
            {
                throw Failure($"'{shim}' cannot be loaded, nor can a copy that does without {MissingVersion}", reason, shim);
            }
        }

        Loaded["LibTorchSharp"] = shimHandle;
        try
        {
            NativeLibrary.SetDllImportResolver(typeof(torch).Assembly, (name, _, _) => Loaded.GetValueOrDefault(name));
        }
        catch (InvalidOperationException)
        {
            // Somebody else resolves TorchSharp's imports; the libraries are loaded, so they are found by name.
        }

        // Forces TorchSharp's own initialisation while errors can still be explained.
        try
        {
            torch.manual_seed(0);
        }
        catch (Exception e) when (e is TypeInitializationException or NotSupportedException or DllNotFoundException)
        {
            // TorchSharp's message is pages long, and its remedies are not ours; its first line says what failed.
            throw Failure("TorchSharp does not start; it may have been used before TorchLibrary.EnsureLoaded was called", e.GetBaseException().Message.Split('\n')[0].Trim(), folder);
        }
    }

    /// <summary>
    /// Lets OpenMP's threads sleep between operators instead of spinning: a build shares its cores with compilers and tests, and two
    /// libraries that spin against each other slow both many times over. A setting of the user's wins.
    /// </summary>
    private static void WaitWithoutSpinning()
    {
        if (OperatingSystem.IsLinux() && Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null && Environment.GetEnvironmentVariable("GOMP_SPINCOUNT") is null)
        {
            // OpenMP reads the process's own environment once when it is loaded; Environment.SetEnvironmentVariable does not reach it.
            _ = SetNativeVariable("OMP_WAIT_POLICY", "passive", 0);
        }
    }

    /// <summary>
    /// Makes large tensors cheap: in huge pages, and from memory that stays with the process. By default every tensor above 32 MB is mapped
    /// and unmapped, and touching its fresh pages takes as long as the product that fills it.
    /// </summary>
    private static void KeepMemory()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        _ = SetNativeVariable("THP_MEM_ALLOC_ENABLE", "1", 0); // read by libtorch: madvise(MADV_HUGEPAGE) from 2 MB on
        try
        {
            const int trimThreshold = -1, mmapThreshold = -3; // malloc.h of glibc
            if (SetMalloc(mmapThreshold, int.MaxValue) != 0)
            {
                _ = SetMalloc(trimThreshold, int.MaxValue);
            }
        }
        catch (EntryPointNotFoundException)
        {
            // Another libc, such as musl: slower, not wrong.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetMalloc(int parameter, int value);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetNativeVariable(string name, string value, int overwrite);

    private static TrainingException Failure(string what, string why, string path) => new(
        DiagnosticCodes.TorchUnavailable,
        $"Torch is not available: {what} ({why}). Restore the packages again, or set {FolderVariable} to a folder with libtorch {PackageVersion} for this system.",
        path);

    private static string Reason(string path)
    {
        try
        {
            NativeLibrary.Load(path);
            return "unknown reason";
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            return e.Message.ReplaceLineEndings(" ");
        }
    }

    /// <summary>libLibTorchSharp ships inside the TorchSharp package and is small, so the build copies it beside the application.</summary>
    private static string FindShim(string file)
    {
        string[] folders = [AppContext.BaseDirectory, .. NativeSearchFolders(), Path.GetDirectoryName(typeof(torch).Assembly.Location) is { Length: > 0 } beside ? beside : AppContext.BaseDirectory];
        foreach (var folder in folders)
        {
            foreach (var candidate in (string[])[Path.Combine(folder, file), Path.Combine(folder, "runtimes", Rid, "native", file)])
            {
                if (File.Exists(candidate))
                {
                    return candidate;
                }
            }
        }

        throw Failure($"'{file}' was not found beside the application", $"looked in {string.Join(", ", folders.Distinct())}", file);
    }

    private static string[] NativeSearchFolders() =>
        (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string)?.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static string CacheFolder() => Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify) is { Length: > 0 } data ? data : Path.GetTempPath(),
        "modelsdk", "native");

    /// <summary>Writes the patched copy once, named by its content, so that processes and versions never disturb each other.</summary>
    /// <param name="library">libLibTorchSharp.so as shipped.</param>
    /// <param name="cache">Folder of this user.</param>
    /// <returns>Path of the copy.</returns>
    internal static string PatchedCopy(string library, string cache)
    {
        var image = File.ReadAllBytes(library);
        ElfVersionPatch.MakeWeak(image, MissingVersion);
        var digest = Convert.ToHexStringLower(SHA256.HashData(image));
        var folder = Path.Combine(cache, digest[..16]);
        // The file keeps its name: the loader and TorchSharp know the library by it.
        var target = Path.Combine(folder, Path.GetFileName(library));
        if (File.Exists(target) && new FileInfo(target).Length == image.Length && Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(target))) == digest)
        {
            return target;
        }

        Directory.CreateDirectory(folder);
        var temporary = Path.Combine(folder, $".{Guid.NewGuid():N}.tmp");
        File.WriteAllBytes(temporary, image);
        File.Move(temporary, target, overwrite: true);
        return target;
    }
}
