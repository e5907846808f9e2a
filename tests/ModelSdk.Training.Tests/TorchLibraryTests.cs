using ModelSdk.Manifest;
using ModelSdk.Training.Native;

namespace ModelSdk.Training.Tests;

public sealed class TorchLibraryTests
{
    private static string Shim => Directory.GetFiles(AppContext.BaseDirectory, "libLibTorchSharp.so", SearchOption.AllDirectories)[0];

    [Fact]
    public void A_named_folder_wins_over_the_variable_and_that_over_the_packages()
    {
        static string? Environment(string name) => name switch { TorchLibrary.FolderVariable => "/variable", "NUGET_PACKAGES" => "/packages", _ => null };
        Assert.Equal("/named", TorchLibrary.FindFolder("/named", Environment, _ => true));
        Assert.Equal("/variable", TorchLibrary.FindFolder(null, Environment, _ => true));
        var found = TorchLibrary.FindFolder(null, n => n == "NUGET_PACKAGES" ? "/packages" : null, _ => true);
        Assert.StartsWith(Path.Combine("/packages", "libtorch-cpu-"), found, StringComparison.Ordinal);
        Assert.Contains(TorchLibrary.PackageVersion, found, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_library_is_one_error_that_says_what_to_do()
    {
        var error = Assert.Throws<TrainingException>(() => TorchLibrary.FindFolder(null, n => n == "NUGET_PACKAGES" ? "/packages" : null, _ => false));
        Assert.Equal(DiagnosticCodes.TorchUnavailable, error.Code);
        Assert.Contains("restore", error.Message, StringComparison.Ordinal);
        Assert.Contains(TorchLibrary.FolderVariable, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Libtorch_is_not_copied_beside_the_application()
    {
        Assert.Empty(Directory.GetFiles(AppContext.BaseDirectory, "libtorch_cpu*", SearchOption.AllDirectories));
        TorchLibrary.EnsureLoaded(); // A second call does nothing; the first was at the start.
        using var one = TorchSharp.torch.ones(1);
        Assert.Equal(1, one.item<float>());
    }

    [Fact]
    public void The_patch_sets_one_flag_and_nothing_else()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "ELF images are loaded on Linux only.");
        var original = File.ReadAllBytes(Shim);
        var patched = original.ToArray();

        Assert.Equal(1, ElfVersionPatch.MakeWeak(patched, "GLIBCXX_3.4.32"));

        var changed = Enumerable.Range(0, original.Length).Where(i => original[i] != patched[i]).ToArray();
        Assert.Single(changed);
        Assert.Equal(original[changed[0]] | 2, patched[changed[0]]);
        Assert.Equal(0, ElfVersionPatch.MakeWeak(patched, "GLIBCXX_9.9.9"));
    }

    [Fact]
    public void What_is_no_whole_ELF_image_is_refused()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "ELF images are loaded on Linux only.");
        Assert.Throws<InvalidDataException>(() => ElfVersionPatch.MakeWeak("MZ"u8.ToArray(), "X"));
        Assert.Throws<InvalidDataException>(() => ElfVersionPatch.MakeWeak(File.ReadAllBytes(Shim).AsSpan(0, 4096).ToArray(), "X"));
    }

    [Fact]
    public void A_damaged_copy_in_the_cache_is_replaced()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "ELF images are loaded on Linux only.");
        using var folder = new TemporaryFolder();
        var copy = TorchLibrary.PatchedCopy(Shim, folder.Path);
        var whole = File.ReadAllBytes(copy);
        File.WriteAllBytes(copy, new byte[whole.Length]);

        Assert.Equal(copy, TorchLibrary.PatchedCopy(Shim, folder.Path));

        Assert.Equal(whole, File.ReadAllBytes(copy));
        Assert.Equal(Path.GetFileName(Shim), Path.GetFileName(copy));
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(copy)!));
    }
}
